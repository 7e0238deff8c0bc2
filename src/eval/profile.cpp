#include "eval/profile.h"

#include <algorithm>
#include <chrono>

#include "eval/cost.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"

namespace nibble::eval {

std::optional<double> NodeCost::gflops() const {
  if (macs == 0 || seconds <= 0) return std::nullopt;
  return 2e-9 * static_cast<double>(macs) / seconds;
}

std::vector<NodeCost> Profile::by_operator() const {
  std::vector<NodeCost> sums;
  for (const NodeCost& node : nodes) {
    auto it = std::find_if(sums.begin(), sums.end(), [&](const NodeCost& s) { return s.op == node.op; });
    if (it == sums.end()) {
      sums.push_back({"", node.op, 0, 0, 0});
      it = sums.end() - 1;
    }
    ++it->nodes;
    it->seconds += node.seconds;
    it->macs += node.macs;
  }
  std::stable_sort(sums.begin(), sums.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return sums;
}

Profile profile(const graph::Graph& graph, std::span<const tensor::Tensor> inputs, double seconds,
                const base::Limits& limits, base::ThreadPool& pool, base::Progress& progress) {
  using Clock = std::chrono::steady_clock;
  runtime::SessionOptions options;
  options.limits = limits;
  options.profile = true;
  runtime::Session session(graph, pool, options);
  session.run(inputs);  // packs weights and allocates
  const std::vector<runtime::NodeTime> first = session.profile();
  Profile p;
  const auto start = Clock::now();
  constexpr int64_t kFewest = 3;
  while (p.runs < kFewest || std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    progress.check_cancelled();
    session.run(inputs);
    ++p.runs;
  }
  // The Session's form of the network, at the sizes of these inputs.
  graph::Graph g = session.graph();
  for (size_t i = 0; i < inputs.size(); ++i) {
    graph::Value& v = g.value(g.inputs[i]);
    v.shape = inputs[i].shape();
    v.shape_known = true;
  }
  runtime::infer_shapes(g);
  const auto& times = session.profile();
  for (size_t i = 0; i < times.size(); ++i) {
    NodeCost cost{times[i].name, times[i].op, 1, (times[i].seconds - first[i].seconds) / static_cast<double>(p.runs),
                  macs_of(g, g.node(static_cast<graph::NodeId>(i)))};
    p.seconds += cost.seconds;
    p.nodes.push_back(std::move(cost));
  }
  return p;
}

}  // namespace nibble::eval
