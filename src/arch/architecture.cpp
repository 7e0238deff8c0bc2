#include "arch/architecture.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "arch/builder.h"
#include "base/error.h"

namespace nibble::arch {

#define NIBBLE_ARCHITECTURE(name) const Architecture& name();
#include "arch/architectures.def"
#undef NIBBLE_ARCHITECTURE

namespace {

constexpr std::string_view kNumber = "{i}";

/// The block's number in a name that matches the pattern, -1 where the pattern has none.
std::optional<int32_t> match(std::string_view pattern, std::string_view name) {
  const size_t at = pattern.find(kNumber);
  if (at == std::string_view::npos) return pattern == name ? std::optional(-1) : std::nullopt;
  const std::string_view before = pattern.substr(0, at), after = pattern.substr(at + kNumber.size());
  if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size())
    return std::nullopt;
  const std::string_view digits = name.substr(before.size(), name.size() - before.size() - after.size());
  int32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0 || std::to_string(number) != digits)
    return std::nullopt;
  return number;
}

/// Buffers that older checkpoints carry and that follow from the configuration.
bool is_derived(std::string_view hf_name) {
  return hf_name.ends_with(".attn.bias") || hf_name.ends_with(".attn.masked_bias") ||
         hf_name.ends_with("rotary_emb.inv_freq");
}

}  // namespace

std::span<const Architecture* const> all_architectures() {
  static const std::array table = {
#define NIBBLE_ARCHITECTURE(name) &name(),
#include "arch/architectures.def"
#undef NIBBLE_ARCHITECTURE
  };
  return table;
}

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture* a : all_architectures())
    if (a->name == name) return a;
  return nullptr;
}

const Architecture* find_hf_class(std::string_view name) {
  for (const Architecture* a : all_architectures())
    if (std::find(a->hf_classes.begin(), a->hf_classes.end(), name) != a->hf_classes.end()) return a;
  return nullptr;
}

std::optional<std::pair<const TensorRule*, int32_t>> find_rule(const Architecture& architecture, Source source,
                                                               std::string_view name) {
  for (const TensorRule& rule : architecture.tensors)
    if (const auto layer = match(source == Source::kHf ? rule.hf : rule.gguf, name)) return std::pair(&rule, *layer);
  return std::nullopt;
}

std::string numbered(std::string_view name, int32_t layer) {
  std::string text(name);
  if (const size_t at = text.find(kNumber); at != std::string::npos)
    text.replace(at, kNumber.size(), std::to_string(layer));
  return text;
}

std::vector<graph::ValueId> weights_of(const Model& model) {
  std::vector<graph::ValueId> ids;
  for (graph::ValueId v = 0; v < model.graph.value_count(); ++v)
    if (const graph::Value& value = model.graph.value(v);
        value.constant && value.role != graph::Role::kShape && value.role != graph::Role::kNone)
      ids.push_back(v);
  return ids;
}

int64_t source_row(const Hyperparameters& sizes, int64_t row) {
  const int64_t head = row / sizes.head_size, within = row % sizes.head_size;
  return head * sizes.head_size + within % 2 * (sizes.head_size / 2) + within / 2;
}

Model build(const Architecture& architecture, Hyperparameters sizes, Source source, const NamedTensors& tensors,
            const std::string& place, std::vector<std::string>& notes) {
  std::map<std::string, Builder::Weight> weights;
  std::vector<std::string> derived, unknown;
  for (const auto& [name, tensor] : tensors) {
    std::string_view plain = name;
    if (source == Source::kHf && plain.starts_with("transformer.")) plain.remove_prefix(12);  // GPT-2 with a head
    const auto found = find_rule(architecture, source, plain);
    if (!found && source == Source::kHf && is_derived(name)) {
      derived.push_back(name);
      continue;
    }
    if (!found || (found->second >= 0 && found->second >= sizes.layers)) {
      unknown.push_back(name);
      continue;
    }
    const auto& [rule, layer] = *found;
    weights.emplace(numbered(rule->gguf, layer), Builder::Weight{tensor, rule, layer});
  }
  if (!unknown.empty())
    base::fail_unsupported(place, std::to_string(unknown.size()) + " tensors have no place in " +
                                      std::string(architecture.name) + " models, the first is " +
                                      base::in_quotes(unknown[0]));
  if (!derived.empty())
    notes.push_back(std::to_string(derived.size()) + " tensors follow from the configuration and are left out");
  if (sizes.tied && weights.erase("output.weight") > 0)
    notes.push_back("the configuration ties the output to the embeddings; the file's own output matrix is left out");
  sizes.tied = !weights.contains("output.weight");
  Builder builder(architecture, std::move(sizes), source, std::move(weights), place);
  return builder.finish();
}

}  // namespace nibble::arch
