#include "generate/language_session.h"

#include <cmath>
#include <map>

#include "base/error.h"

namespace nibble::generate {
namespace {

using tensor::Tensor;

/// The Graph with the activations that products are to have.
graph::Graph with_activations(graph::Graph g, codec::Activations activations) {
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    if (graph::Node& node = g.node(id); node.op == "Linear")
      node.attributes["activations"] = std::string(activations == codec::Activations::kQ8 ? "q8" : "f32");
  return g;
}

runtime::SessionOptions options_of(const base::Limits& limits) {
  runtime::SessionOptions options;
  options.limits = limits;
  return options;
}

Tensor integers(std::span<const int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

LanguageSession::LanguageSession(const arch::Model& model, codec::Activations activations, base::ThreadPool& pool,
                                 const base::Limits& limits)
    : context_(model.sizes.context),
      vocabulary_(model.sizes.vocabulary),
      session_(with_activations(model.graph, activations), pool, options_of(limits)) {
  session_.use_cache(&cache_);
}

Tensor LanguageSession::run(std::span<const Place> tokens, std::span<const int64_t> rows) {
  std::vector<int64_t> ids, positions, sequences;
  std::map<int64_t, int64_t> next;
  for (const Place& p : tokens) {
    const auto [it, added] = next.try_emplace(p.sequence, 0);
    if (added) it->second = cache_.length(p.sequence);
    if (it->second >= context_)
      base::fail_usage("", "a text is longer than the model's context of " + std::to_string(context_) + " tokens");
    ids.push_back(p.token);
    positions.push_back(it->second++);
    sequences.push_back(p.sequence);
  }
  Tensor logits =
      session_.run(std::vector<Tensor>{integers(ids), integers(positions), integers(sequences), integers(rows)}).at(0);
  for (const float v : logits.values<float>())
    if (!std::isfinite(v))
      base::fail_malformed("", "the model computes values that are not finite; its weights are damaged");
  return logits;
}

}  // namespace nibble::generate
