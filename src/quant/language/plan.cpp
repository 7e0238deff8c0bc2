#include "quant/language/plan.h"

#include <algorithm>
#include <regex>

#include "base/error.h"
#include "io/gguf/read.h"
#include "model/language/rows.h"

namespace nibble::quant {
namespace {

using graph::Role;
using tensor::DType;

/// Matrices of products and tables of tokens; everything else stays in floats, as llama.cpp's converter has it.
bool is_eligible(const graph::Value& v) {
  return v.constant.rank() == 2 && v.role != Role::kPosition && v.role != Role::kNorm && v.role != Role::kBias;
}

struct Choice {
  DType type;
  std::string reason;
  bool asked_by_name = false;  ///< the user named this tensor's type
};

class Planner {
 public:
  Planner(const model::LanguageModel& model, const LanguageScheme& scheme, bool importance)
      : model_(model), scheme_(scheme), importance_(importance) {
    for (const auto& [text, type] : scheme.tensors) {
      try {
        expressions_.emplace_back(text, std::regex::ECMAScript);
      } catch (const std::regex_error&) {
        base::fail_usage("--tensor-type", base::in_quotes(text) + " is no regular expression");
      }
    }
    used_.resize(expressions_.size());
  }

  LanguagePlan plan() {
    LanguagePlan p;
    p.scheme = scheme_;
    for (const graph::ValueId v : arch::weights_of(model_.model)) add(v, p);
    for (size_t i = 0; i < used_.size(); ++i)
      if (!used_[i])
        base::fail_usage("--tensor-type", "no tensor's name matches " + base::in_quotes(scheme_.tensors[i].first));
    for (const TensorPlan& t : p.tensors) {
      p.bytes_before += t.bytes_before;
      p.bytes_after += t.bytes_after;
    }
    return p;
  }

 private:
  Choice choose(const graph::Value& v) {
    if (!is_eligible(v)) return {DType::f32, "", false};
    if (v.role == Role::kEmbedding && scheme_.embedding) return {*scheme_.embedding, "asked for", true};
    if (v.role == Role::kOutput && scheme_.output) return {*scheme_.output, "asked for", true};
    for (size_t i = 0; i < expressions_.size(); ++i)
      if (std::regex_search(v.name, expressions_[i])) {
        used_[i] = true;
        return {scheme_.tensors[i].second, "asked for", true};
      }
    if (scheme_.pure) return {scheme_.mix->base, "", false};
    const DType type = type_in_mix(*scheme_.mix, v.role, v.layer, model_.model.sizes, importance_);
    return {type, type == scheme_.mix->base ? "" : "part of " + std::string(scheme_.mix->name), false};
  }

  void add(graph::ValueId id, LanguagePlan& p) {
    const graph::Value& v = model_.model.graph.value(id);
    const model::RowReader rows(model_.model, id);
    TensorPlan t;
    t.value = id;
    t.name = v.name;
    t.role = v.role;
    t.shape = v.constant.rank() == 2 ? tensor::Shape{rows.rows(), rows.columns()} : v.constant.shape();
    t.from = v.constant.dtype();
    t.bytes_before = static_cast<int64_t>(v.constant.bytes().size());
    const Choice choice = choose(v);
    t.to = choice.type;
    t.reason = choice.reason;
    const int64_t columns = rows.columns();
    if (is_eligible(v) && !fits(t.to, columns)) {
      const DType narrower = fallback_type(t.to, columns);
      const std::string place = "tensor " + base::in_quotes(v.name), type = io::gguf::type_name(t.to);
      const bool asked = choice.asked_by_name || t.to == scheme_.mix->base;
      if (asked && !scheme_.allow_fallback)
        base::fail_unsupported(place,
                               "has rows of " + std::to_string(columns) + " values, which are no whole blocks of " +
                                   type + " (" + std::to_string(tensor::block_size(t.to).elements) + ")",
                               "--allow-fallback stores such tensors as " + io::gguf::type_name(narrower) +
                                   " or wider; --tensor-type chooses for one");
      t.reason = "rows of " + std::to_string(columns) + " are no whole blocks of " + type;
      p.notes.push_back(place + " becomes " + io::gguf::type_name(narrower) + ": " + t.reason);
      t.to = narrower;
    }
    if (tensor::is_blocked(t.from) && t.from != t.to && !scheme_.allow_requantize)
      base::fail_usage("tensor " + base::in_quotes(v.name),
                       "is quantized already (" + io::gguf::type_name(t.from) + ")",
                       "quantize the float model, or add --allow-requantize and lose quality");
    if (t.from == DType::f16 && t.to == DType::f16 && v.constant.rank() == 2) t.reason.clear();
    t.bytes_after = tensor::packed_bytes(t.to, v.constant.elements());
    p.memory = std::max(p.memory, rows.same_order() || t.shape.size() < 2 ? int64_t{0} : 4 * v.constant.elements());
    p.tensors.push_back(std::move(t));
  }

  const model::LanguageModel& model_;
  const LanguageScheme& scheme_;
  bool importance_;
  std::vector<std::regex> expressions_;
  std::vector<bool> used_;
};

}  // namespace

std::string to_text(const LanguageScheme& s) {
  std::string text(s.mix->name), options;
  const auto option = [&](const std::string& part) { options += (options.empty() ? ":" : ",") + part; };
  if (s.pure) option("pure");
  if (s.output) option("output=" + io::gguf::type_name(*s.output));
  if (s.embedding) option("embedding=" + io::gguf::type_name(*s.embedding));
  for (const auto& [expression, type] : s.tensors) option("tensor=" + expression + "=" + io::gguf::type_name(type));
  return text + options;
}

double LanguagePlan::bits_per_weight() const {
  int64_t elements = 0;
  for (const TensorPlan& t : tensors) elements += tensor::element_count(t.shape);
  return elements ? 8.0 * static_cast<double>(bytes_after) / static_cast<double>(elements) : 0;
}

LanguagePlan plan_language(const model::LanguageModel& model, const LanguageScheme& scheme, bool importance) {
  LanguagePlan p = Planner(model, scheme, importance).plan();
  p.memory += int64_t{64} << 20;  // pieces in float and their blocks
  return p;
}

}  // namespace nibble::quant
