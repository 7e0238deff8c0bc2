#pragma once
#include <any>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "ops/operator.h"
#include "runtime/buffer_pool.h"

namespace nibble::runtime {

struct SessionOptions {
  /// Batch-norm folding, fusion, layouts and integer arithmetic; off: every node as the file writes it.
  bool optimize = true;
  /// Names of values that `watch` callbacks may ask for; they stay visible through rewriting.
  std::vector<std::string> watched;
  bool profile = false;
  base::Limits limits;
};

/// Time of one node over all runs.
struct NodeTime {
  std::string name, op;
  int64_t runs = 0;
  double seconds = 0;
};

/// Runs a network: float, 8-bit and 4-bit alike, on a private copy of the Graph (constants are shared). Results are the
/// same for any number of threads. One run at a time.
class Session {
 public:
  /// Throws Error(kUnsupported) naming every operator that the table lacks.
  Session(const graph::Graph& graph, base::ThreadPool& pool, SessionOptions options = {});

  /// Outputs in the graph's order. `inputs` in the graph's order; types and known sizes are checked.
  std::vector<tensor::Tensor> run(std::span<const tensor::Tensor> inputs);

  /// Called during `run` for each watched value when it has been computed, in execution order.
  using Observer = std::function<void(const std::string& name, const tensor::Tensor& value)>;
  void watch(Observer observer) { observer_ = std::move(observer); }

  /// Lets attention remember tokens from one run to the next; nullptr: every run stands alone. The caller keeps it
  /// alive.
  void use_cache(ops::KeyValueCache* cache) { cache_ = cache; }

  const graph::Graph& graph() const { return graph_; }
  int64_t peak_activation_bytes() const { return buffers_.peak_bytes(); }
  /// Per node, in execution order; filled when options.profile is set.
  const std::vector<NodeTime>& profile() const { return times_; }

 private:
  struct Inferred {  // what the last inference said, and for which shapes
    bool reusable = false;
    std::vector<tensor::Shape> inputs;
    std::vector<ops::OutputFacts> outputs;
  };
  class Environment;
  /// One subgraph of a node, run by a Session of its own that shares this one's memory.
  struct Branch {
    std::unique_ptr<Session> session;
    std::vector<size_t> captured;  ///< inputs of the node that it reads, in the order of its last inputs
  };

  Session(const graph::Graph& graph, base::ThreadPool& pool, SessionOptions options, BufferPool buffers);
  tensor::Tensor allocate(const graph::Node& node, tensor::DType dtype, tensor::Shape shape);
  Branch& branch_of(graph::NodeId id, const std::string& key, std::span<const tensor::Tensor> inputs);
  void check_inputs(std::span<const tensor::Tensor> inputs) const;
  void run_node(graph::NodeId id);
  /// Lets go of what a run that failed has left.
  void forget_run();
  /// Types and shapes of the node's outputs for these inputs; inferred anew only when a shape changed, or where the
  /// values of a computed input have a say.
  const std::vector<ops::OutputFacts>& infer(graph::NodeId id, std::span<const tensor::Tensor> inputs);
  void observe(graph::ValueId id, const tensor::Tensor& value) const;

  graph::Graph graph_;
  base::ThreadPool& pool_;
  SessionOptions options_;
  BufferPool buffers_;
  std::vector<tensor::Tensor> constants_;  // by value; decoded where the reader wants floats
  std::vector<int32_t> reads_;             // by value: how many nodes read it, plus one where the caller wants it
  // Of the present run, kept between runs so that a small network does not spend its time on them.
  std::vector<tensor::Tensor> values_;                 // by value: what has been computed and is still to be read
  std::vector<int32_t> left_;                          // by value: reads that are still to come
  std::vector<std::vector<tensor::Tensor>> operands_;  // by node: its inputs; constants stay in their places
  std::vector<std::vector<size_t>> watched_;           // by value: indices into options_.watched
  std::vector<const ops::Operator*> operators_;        // by node
  std::vector<std::any> states_;                       // by node
  std::vector<Inferred> inferred_;                     // by node
  // Made when first run.
  std::map<std::pair<graph::NodeId, std::string>, Branch> branches_;
  std::vector<NodeTime> times_;
  size_t output_count_ = 0;  // the graph's own; watched values follow
  Observer observer_;
  ops::KeyValueCache* cache_ = nullptr;
};

}  // namespace nibble::runtime
