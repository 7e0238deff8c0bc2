#include "quant/language/write.h"

#include <algorithm>
#include <cmath>

#include "arch/rope.h"
#include "base/error.h"
#include "base/file.h"
#include "base/small_float.h"
#include "codec/blocks.h"
#include "io/gguf/read.h"
#include "io/gguf/write.h"
#include "model/language/rows.h"

namespace nibble::quant {
namespace {

using tensor::DType;

constexpr int64_t kPieceBytes = 32 << 20;  // of values in float

[[noreturn]] void fail_not_finite(int64_t row, int64_t column, const std::string& name) {
  base::fail_malformed("tensor " + base::in_quotes(name),
                       "holds NaN or infinity in row " + std::to_string(row) + ", column " + std::to_string(column));
}

/// Error unless all stored floats are finite: no exponent of ones.
void require_finite(DType dtype, std::span<const uint8_t> bytes, int64_t columns, int64_t first_row,
                    const std::string& name) {
  const auto check = [&]<typename T>(T exponent) {
    const auto* bits = reinterpret_cast<const T*>(bytes.data());
    const size_t count = bytes.size() / sizeof(T);
    bool all = true;
    for (size_t i = 0; i < count; ++i) all &= (bits[i] & exponent) != exponent;
    if (all) return;
    for (size_t i = 0; i < count; ++i)
      if ((bits[i] & exponent) == exponent)
        fail_not_finite(first_row + static_cast<int64_t>(i) / columns, static_cast<int64_t>(i) % columns, name);
  };
  if (dtype == DType::f32) check(uint32_t{0x7F800000});
  if (dtype == DType::f16) check(uint16_t{0x7C00});
  if (dtype == DType::bf16) check(uint16_t{0x7F80});
}

/// Values as plain floats of a type.
void encode_values(DType dtype, std::span<const float> values, uint8_t* bytes) {
  if (dtype == DType::f32) {
    std::memcpy(bytes, values.data(), values.size_bytes());
    return;
  }
  auto* out = reinterpret_cast<uint16_t*>(bytes);
  for (size_t i = 0; i < values.size(); ++i)
    out[i] = dtype == DType::f16 ? base::f32_to_f16(values[i]) : base::f32_to_bf16(values[i]);
}

class TensorWriter {
 public:
  TensorWriter(const model::LanguageModel& model, const io::gguf::ImportanceMatrix* importance,
               const WriteOptions& options, base::ThreadPool& pool, io::gguf::Writer& writer, WriteResult& result)
      : model_(model), importance_(importance), options_(options), pool_(pool), writer_(writer), result_(result) {}

  void write(const TensorPlan& t) {
    model::RowReader rows(model_.model, t.value);
    TensorResult made{t.name, std::nullopt};
    if (t.from == t.to && !rows.transposed())
      copy(t, rows);
    else
      convert(t, rows, made);
    writer_.end_tensor();
    base::forget_pages(rows.stored().bytes());
    result_.tensors.push_back(std::move(made));
  }

 private:
  void copy(const TensorPlan& t, const model::RowReader& rows) {
    const int64_t row_bytes = tensor::packed_bytes(t.to, rows.columns());
    const int64_t band = std::clamp<int64_t>(kPieceBytes / row_bytes, 1, rows.rows());
    for (int64_t first = 0; first < rows.rows(); first += band) {
      const int64_t count = std::min(band, rows.rows() - first);
      bytes_.resize(static_cast<size_t>(count * row_bytes));
      const int64_t step = std::max<int64_t>(1, (1 << 18) / row_bytes);
      pool_.for_each((count + step - 1) / step, [&](int64_t i, int) {
        const int64_t from = i * step, n = std::min(step, count - from);
        uint8_t* part = bytes_.data() + from * row_bytes;
        rows.copy(first + from, n, part);
        require_finite(t.to, {part, static_cast<size_t>(n * row_bytes)}, rows.columns(), first + from, t.name);
      });
      writer_.append(std::as_bytes(std::span(bytes_)));
    }
  }

  void convert(const TensorPlan& t, model::RowReader& rows, TensorResult& made) {
    const bool blocks = tensor::is_blocked(t.to);
    std::vector<float> weights;
    if (blocks && importance_) {
      weights = io::gguf::column_weights(*importance_, t.name);
      if (weights.empty()) ++result_.without_importance;
      if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0; })) weights.clear();
    }
    const int64_t columns = rows.columns(), band = std::clamp<int64_t>(kPieceBytes / 4 / columns, 1, rows.rows());
    fit::BlockError lost;
    for (int64_t first = 0; first < rows.rows(); first += band) {
      const int64_t count = std::min(band, rows.rows() - first);
      values_.resize(static_cast<size_t>(count * columns));
      bytes_.resize(static_cast<size_t>(tensor::packed_bytes(t.to, count * columns)));
      read(rows, first, count);
      if (!blocks) {
        encode_plain(t.to, columns, first, t.name);
      } else {
        const tensor::MatrixView view{values_.data(), count, columns, columns, 1};
        try {
          fit::quantize_blocks(t.to, options_.search, view, weights, pool_, bytes_);
        } catch (const base::Error& e) {
          throw e.within("tensor " + base::in_quotes(t.name) + ", rows from " + std::to_string(first));
        }
        if (options_.measure) {
          const fit::BlockError e = fit::measure_blocks(t.to, bytes_, view, {}, pool_);
          lost.error += e.error;
          lost.signal += e.signal;
        }
      }
      writer_.append(std::as_bytes(std::span(bytes_)));
    }
    if (blocks && options_.measure)
      made.sqnr_db = lost.error > 0 ? 10 * std::log10(lost.signal / lost.error) : INFINITY;
  }

  /// values_ as plain floats in bytes_. What is too large for the type is an Error too.
  void encode_plain(DType dtype, int64_t columns, int64_t first, const std::string& name) {
    const auto count = static_cast<int64_t>(values_.size()), size = tensor::packed_bytes(dtype, 1);
    const int64_t step = (1 << 16) / columns * columns + columns;  // whole rows
    pool_.for_each((count + step - 1) / step, [&](int64_t i, int) {
      const int64_t from = i * step, n = std::min(step, count - from);
      uint8_t* part = bytes_.data() + from * size;
      encode_values(dtype, {values_.data() + from, static_cast<size_t>(n)}, part);
      require_finite(dtype, {part, static_cast<size_t>(n * size)}, columns, first + from / columns, name);
    });
  }

  void read(model::RowReader& rows, int64_t first, int64_t count) {
    const int64_t columns = rows.columns();
    if (!rows.same_order()) return rows.read(first, count, values_.data());
    const int64_t step = std::max<int64_t>(1, (1 << 16) / columns);
    pool_.for_each((count + step - 1) / step, [&](int64_t i, int) {
      const int64_t from = i * step, n = std::min(step, count - from);
      rows.read(first + from, n, values_.data() + from * columns);
    });
  }

  const model::LanguageModel& model_;
  const io::gguf::ImportanceMatrix* importance_;
  const WriteOptions& options_;
  base::ThreadPool& pool_;
  io::gguf::Writer& writer_;
  WriteResult& result_;
  std::vector<float> values_;
  std::vector<uint8_t> bytes_;
};

/// The file as it is on the disk has the tensors that were meant, in their types and shapes.
void verify(const std::filesystem::path& path, const std::string& place, const std::vector<io::gguf::TensorInfo>& infos,
            size_t keys) {
  const auto file = base::MappedFile::open(path);
  const io::gguf::File back = io::gguf::read_bytes(file->bytes(), file, place, {});
  bool same = back.tensors.size() == infos.size() && back.metadata.size() == keys;
  for (size_t i = 0; same && i < infos.size(); ++i)
    same = back.tensors[i].name == infos[i].name && back.tensors[i].tensor.dtype() == infos[i].dtype &&
           back.tensors[i].tensor.shape() == infos[i].shape;
  if (!same)
    base::fail_io(place, "read back after writing, it is not what was written",
                  "the disk or nibble is faulty; nothing was kept");
}

}  // namespace

WriteResult write_language(const model::LanguageModel& model, const LanguagePlan& plan,
                           const io::gguf::Metadata& metadata, const io::gguf::ImportanceMatrix* importance,
                           const std::filesystem::path& path, const WriteOptions& options, base::ThreadPool& pool,
                           base::Progress& progress) {
  std::vector<io::gguf::TensorInfo> infos;
  const std::vector<float> divisors = model.model.sizes.rope.divisors.empty()
                                          ? arch::frequency_divisors(model.model.sizes.rope)
                                          : model.model.sizes.rope.divisors;
  if (!divisors.empty()) infos.push_back({"rope_freqs.weight", DType::f32, {static_cast<int64_t>(divisors.size())}});
  for (const TensorPlan& t : plan.tensors) infos.push_back({t.name, t.to, t.shape});
  base::AtomicFile file(path, options.force, options.inputs, io::gguf::file_size(metadata, infos));
  io::gguf::Writer writer(file, metadata, infos);
  WriteResult result;
  if (!divisors.empty()) {
    writer.append(std::as_bytes(std::span(divisors)));
    writer.end_tensor();
  }
  TensorWriter tensors(model, importance, options, pool, writer, result);
  progress.begin("quantize", plan.bytes_before, "bytes");
  int64_t done = 0;
  for (const TensorPlan& t : plan.tensors) {
    progress.check_cancelled();
    tensors.write(t);
    progress.advance(done += t.bytes_before);
  }
  progress.end();
  file.flush();
  verify(file.temporary_path(), base::printable(path.string(), 400), infos, metadata.size());
  result.file_bytes = file.size();
  file.commit();
  return result;
}

}  // namespace nibble::quant
