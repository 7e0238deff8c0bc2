// What is known of a language model's tensors without running it.
#include <algorithm>
#include <cmath>
#include <map>

#include "eval/language/report.h"
#include "io/gguf/read.h"
#include "model/language/rows.h"

namespace nibble::eval {
namespace {

constexpr int64_t kPiece = 1 << 18;  // elements that are compared at a time

/// Signal over error in decibels; infinite where nothing differs.
double sqnr(model::RowReader& signal, model::RowReader& stored) {
  const int64_t columns = signal.columns(), band = std::max<int64_t>(1, kPiece / columns);
  std::vector<float> a(static_cast<size_t>(band * columns)), b(a.size());
  double power = 0, noise = 0;
  for (int64_t first = 0; first < signal.rows(); first += band) {
    const int64_t count = std::min(band, signal.rows() - first);
    signal.read(first, count, a.data());
    stored.read(first, count, b.data());
    for (size_t i = 0; i < static_cast<size_t>(count * columns); ++i) {
      const double x = static_cast<double>(a[i]), d = x - static_cast<double>(b[i]);
      power += x * x;
      noise += d * d;
    }
  }
  return noise > 0 ? 10 * std::log10(power / noise) : INFINITY;
}

const char* operator_of(graph::Role role) {
  if (role == graph::Role::kNorm) return "norm";
  if (role == graph::Role::kBias) return "bias";
  return role == graph::Role::kEmbedding || role == graph::Role::kPosition ? "Embedding" : "Linear";
}

}  // namespace

std::string types_text(std::span<const tensor::DType> types) {
  std::map<std::string, int> counts;
  for (const tensor::DType type : types) ++counts[io::gguf::type_name(type)];
  std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [name, count] : sorted) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name;
  return text;
}

LanguageSide describe_side(const model::LanguageModel& model) {
  LanguageSide side;
  side.file =
      model.path.filename().empty() ? model.path.parent_path().filename().string() : model.path.filename().string();
  side.file_bytes = model.file_bytes;
  side.parameters = model::parameter_count(model.model);
  side.bits_per_weight = 8.0 * static_cast<double>(model::stored_bytes(model.model)) /
                         static_cast<double>(std::max<int64_t>(1, side.parameters));
  std::vector<tensor::DType> types;
  for (const graph::ValueId v : arch::weights_of(model.model))
    types.push_back(model.model.graph.value(v).constant.dtype());
  side.types = types_text(types);
  return side;
}

std::vector<TensorError> compare_tensors(const model::LanguageModel& model, const model::LanguageModel* base,
                                         base::ThreadPool& pool) {
  const std::vector<graph::ValueId> ids = arch::weights_of(model.model);
  std::vector<TensorError> errors(ids.size());
  pool.for_each(static_cast<int64_t>(ids.size()), [&](int64_t i, int) {
    const graph::Value& value = model.model.graph.value(ids[static_cast<size_t>(i)]);
    TensorError& e = errors[static_cast<size_t>(i)];
    e.name = value.name;
    e.op = operator_of(value.role);
    e.shape = tensor::to_string(value.constant.shape());
    e.type = io::gguf::type_name(value.constant.dtype());
    e.bits = tensor::stored_bits(value.constant.dtype());
    e.bytes = static_cast<int64_t>(value.constant.bytes().size());
    if (!base) return;
    const graph::ValueId other = base->model.graph.find_value(value.name);
    if (other == graph::kNoValue || !base->model.graph.is_constant(other)) return;
    model::RowReader stored(model.model, ids[static_cast<size_t>(i)]), signal(base->model, other);
    if (stored.rows() == signal.rows() && stored.columns() == signal.columns()) e.sqnr_db = sqnr(signal, stored);
  });
  return errors;
}

}  // namespace nibble::eval
