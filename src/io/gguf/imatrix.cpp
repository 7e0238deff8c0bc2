#include "io/gguf/imatrix.h"

#include <cmath>

#include "io/gguf/read.h"
#include "io/gguf/write.h"

namespace nibble::io::gguf {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

void require_sums(const std::string& place, const std::string& weight, const ColumnUse& use) {
  const auto fail = [&](const std::string& sentence) {
    base::fail_malformed(place + ": weight " + base::in_quotes(weight), sentence);
  };
  if (use.sums.empty()) fail("has no columns");
  if (!(use.count >= 0) || !std::isfinite(use.count)) fail("has a count that is no number of tokens");
  for (const float v : use.sums)
    if (!(v >= 0) || !std::isfinite(v)) fail("holds a sum of squares that is negative or not finite");
}

ImportanceMatrix read_gguf_form(const File& file, const std::string& place) {
  ImportanceMatrix m;
  if (const std::string* type = file.metadata.string("general.type"); !type || *type != "imatrix")
    base::fail_malformed(place, "is a GGUF file, but no importance matrix (general.type is not \"imatrix\")");
  if (const auto* names = file.metadata.strings("imatrix.datasets")) m.datasets = *names;
  m.chunks = file.metadata.integer("imatrix.chunk_count").value_or(0);
  m.chunk_size = file.metadata.integer("imatrix.chunk_size").value_or(0);
  std::map<std::string, double> counts;
  for (const NamedTensor& t : file.tensors) {
    const bool sums = t.name.ends_with(kSums), is_count = t.name.ends_with(kCounts);
    if (!sums && !is_count) continue;  // newer files hold more statistics (.in_sum, .stats), which no search needs
    if (t.tensor.dtype() != tensor::DType::f32)
      base::fail_malformed(place, "tensor " + base::in_quotes(t.name) + " does not hold 32-bit floats");
    const std::string weight = t.name.substr(0, t.name.size() - (sums ? kSums : kCounts).size());
    const auto values = t.tensor.values<float>();
    if (is_count && values.size() != 1)
      base::fail_unsupported(place + ": weight " + base::in_quotes(weight),
                             "has a count for each of " + std::to_string(values.size()) + " matrices");
    if (sums)
      m.weights[weight].sums.assign(values.begin(), values.end());
    else
      counts[weight] = static_cast<double>(values[0]);
  }
  for (auto& [weight, use] : m.weights) {
    const auto it = counts.find(weight);
    if (it == counts.end()) base::fail_malformed(place + ": weight " + base::in_quotes(weight), "has no count");
    use.count = it->second;
  }
  if (counts.size() != m.weights.size()) base::fail_malformed(place, "has counts of weights without sums");
  return m;
}

/// i32 entries; for each i32 length, name, i32 calls, i32 columns, f32 mean squares times calls; then, in newer files,
/// i32 last chunk, i32 length, name of the data.
ImportanceMatrix read_binary_form(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  base::Cursor in(bytes, place);
  ImportanceMatrix m;
  const auto entries = in.read<int32_t>("the number of entries");
  if (entries < 1) base::fail_malformed(place, "is neither a GGUF file nor an older importance matrix");
  base::check_limit(entries, limits.tensors, "tensors", place, "entries");
  const auto text = [&](const char* what) {
    const auto length = in.read<int32_t>("a length");
    if (length < 0) base::fail_malformed(place, "has a negative length at byte " + std::to_string(in.offset() - 4));
    base::check_limit(length, limits.name_bytes, "name-bytes", place, what);
    return std::string(base::as_text(in.take(static_cast<uint64_t>(length), what)));
  };
  for (int32_t i = 0; i < entries; ++i) {
    const std::string weight = text("a name");
    const auto calls = in.read<int32_t>("a number of calls");
    const auto columns = in.read<int32_t>("a number of columns");
    if (columns < 1 || calls < 0)
      base::fail_malformed(place + ": weight " + base::in_quotes(weight), "has no columns or a negative count");
    const base::Bytes values = in.take(static_cast<uint64_t>(columns) * 4, "sums of squares");
    ColumnUse use;
    use.count = calls;
    use.sums.resize(static_cast<size_t>(columns));
    std::memcpy(use.sums.data(), values.data(), values.size());
    if (!m.weights.emplace(weight, std::move(use)).second)
      base::fail_malformed(place, "has the weight " + base::in_quotes(weight) + " twice");
  }
  if (in.done()) return m;
  m.chunks = in.read<int32_t>("the number of chunks");
  m.datasets.push_back(text("the data's name"));
  return m;
}

}  // namespace

ImportanceMatrix read_imatrix_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                                    const base::Limits& limits) {
  ImportanceMatrix m = is_gguf(bytes) ? read_gguf_form(read_bytes(bytes, std::move(owner), place, limits), place)
                                      : read_binary_form(bytes, place, limits);
  for (const auto& [weight, use] : m.weights) require_sums(place, weight, use);
  return m;
}

ImportanceMatrix read_imatrix(const std::filesystem::path& path, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path);
  return read_imatrix_bytes(file->bytes(), file, base::printable(path.string(), 400), limits);
}

void write_imatrix(const ImportanceMatrix& m, base::AtomicFile& file) {
  Metadata metadata;
  metadata.set("general.type", std::string("imatrix"));
  metadata.set("imatrix.datasets", Array(m.datasets));
  metadata.set("imatrix.chunk_count", static_cast<uint32_t>(m.chunks));
  metadata.set("imatrix.chunk_size", static_cast<uint32_t>(m.chunk_size));
  std::vector<TensorInfo> infos;
  for (const auto& [weight, use] : m.weights) {
    infos.push_back({weight + std::string(kSums), tensor::DType::f32, {1, static_cast<int64_t>(use.sums.size())}});
    infos.push_back({weight + std::string(kCounts), tensor::DType::f32, {1, 1}});
  }
  Writer writer(file, metadata, std::move(infos));
  for (const auto& [weight, use] : m.weights) {
    writer.append(std::as_bytes(std::span(use.sums)));
    writer.end_tensor();
    const auto count = static_cast<float>(use.count);
    writer.append(std::as_bytes(std::span(&count, 1)));
    writer.end_tensor();
  }
}

std::vector<float> column_weights(const ImportanceMatrix& m, const std::string& weight) {
  const auto it = m.weights.find(weight);
  if (it == m.weights.end() || it->second.count <= 0) return {};
  std::vector<float> weights;
  for (const float sum : it->second.sums)
    weights.push_back(static_cast<float>(static_cast<double>(sum) / it->second.count));
  return weights;
}

}  // namespace nibble::io::gguf
