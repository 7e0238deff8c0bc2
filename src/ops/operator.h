#pragma once
#include <algorithm>
#include <any>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/thread_pool.h"
#include "graph/graph.h"

namespace nibble::ops {

using graph::Graph;
using graph::Node;
using tensor::DType;
using tensor::element_count;
using tensor::is_known;
using tensor::kUnknown;
using tensor::Shape;
using tensor::Tensor;
using tensor::to_string;

/// Bound on the product of a shape's known sizes (empty dimensions left out), so that counts of elements, bits and
/// bytes fit 64 bits. Far above what a Tensor may have.
inline constexpr int64_t kMostElements = int64_t{1} << 45;
bool is_computable(const Shape& shape);

/// What is known of one input before the node runs. At run time everything is known.
struct InputFacts {
  bool present = false;
  DType dtype = DType::f32;
  bool shape_known = false;
  Shape shape;
  const Tensor* data = nullptr;  ///< the values themselves, where known
};

struct OutputFacts {
  DType dtype = DType::f32;
  bool shape_known = false;
  Shape shape;
};

/// Infers the subgraph in one attribute of a node; what is above this room can, see runtime/infer_shapes.h.
class SubgraphInference {
 public:
  virtual ~SubgraphInference() = default;
  /// Facts of the outputs of the graph in the attribute `key`, whose formal inputs have the given facts.
  virtual std::vector<OutputFacts> infer_subgraph(const std::string& key, std::span<const InputFacts> inputs) = 0;
};

/// Shape inference of one node: reads facts of the inputs, writes facts of the outputs. Sizes may be kUnknown and ranks
/// unknown; an operator says as much as it can. Throws Error(kMalformed) for attributes or shapes that clash.
class InferContext {
 public:
  InferContext(const Node& node, std::span<const InputFacts> inputs, std::span<OutputFacts> outputs,
               SubgraphInference* subgraphs = nullptr)
      : node_(node), inputs_(inputs), outputs_(outputs), subgraphs_(subgraphs) {}

  const Node& node() const { return node_; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i].present; }
  /// The input; a missing one is an Error(kMalformed).
  const InputFacts& input(size_t i) const;
  DType dtype(size_t i) const { return input(i).dtype; }
  bool shape_known(size_t i) const { return input(i).shape_known; }
  const Shape& shape(size_t i) const { return input(i).shape; }
  /// The input's values where they are known. What was looked at is remembered: see values_read().
  const Tensor* data(size_t i) const {
    values_read_ |= uint64_t{1} << std::min<size_t>(i, 63);
    return has(i) ? inputs_[i].data : nullptr;
  }
  /// Bit i: inference looked at the values of input i (bit 63 stands for all later ones too).
  uint64_t values_read() const { return values_read_; }

  void output(size_t i, DType dtype, Shape shape);
  void output_of_unknown_rank(size_t i, DType dtype);
  /// Output `i` is like input `like` in shape, known or not, with elements of `dtype`.
  void output_like(size_t i, DType dtype, size_t like);
  /// Present while a whole network is inferred; absent where a node is about to run.
  SubgraphInference* subgraphs() const { return subgraphs_; }

  /// Error(kMalformed) naming the node.
  [[noreturn]] void malformed(const std::string& sentence) const;
  [[noreturn]] void unsupported(const std::string& sentence) const;
  void require(bool condition, const std::string& sentence) const {
    if (!condition) malformed(sentence);
  }

 private:
  const Node& node_;
  std::span<const InputFacts> inputs_;
  std::span<OutputFacts> outputs_;
  SubgraphInference* subgraphs_;
  mutable uint64_t values_read_ = 0;
};

class KeyValueCache;  // ops/kv_cache.h

/// What a running node may ask of what runs it.
class RunEnvironment {
 public:
  virtual ~RunEnvironment() = default;
  /// Memory for an output whose shape is known only now. Error(kLimit) beyond the limits.
  virtual Tensor allocate(DType dtype, Shape shape) = 0;
  /// Runs the graph in the attribute `key` of the node on its formal inputs.
  virtual std::vector<Tensor> run_subgraph(const std::string& key, std::span<const Tensor> inputs) = 0;
  /// What attention remembers between runs, or nullptr: every run stands alone.
  virtual KeyValueCache* key_value_cache() = 0;
};

/// Execution of one node. Outputs are allocated in the inferred type and shape; an operator that only looks at its
/// input differently may assign a view instead.
class RunContext {
 public:
  RunContext(const Node& node, std::span<const Tensor> inputs, std::span<Tensor> outputs, base::ThreadPool& pool,
             std::any& state, RunEnvironment* environment = nullptr)
      : node_(node), inputs_(inputs), outputs_(outputs), pool_(pool), state_(state), environment_(environment) {}

  const Node& node() const { return node_; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i]; }
  const Tensor& input(size_t i) const { return inputs_[i]; }
  Tensor& output(size_t i) const { return outputs_[i]; }
  bool wants(size_t i) const { return i < outputs_.size() && node_.output(i) != graph::kNoValue; }
  base::ThreadPool& pool() const { return pool_; }
  RunEnvironment& environment() const { return *environment_; }

  /// What the node keeps between runs (packed weights, primitives), made on first use.
  template <typename S>
  S& state() const {
    if (!state_.has_value()) state_ = std::make_shared<S>();
    return **std::any_cast<std::shared_ptr<S>>(&state_);
  }

  [[noreturn]] void unsupported(const std::string& sentence) const;
  [[noreturn]] void malformed(const std::string& sentence) const;
  /// Error(kUnsupported) naming the element type of input `i`.
  [[noreturn]] void unsupported_type(size_t i = 0) const;

 private:
  const Node& node_;
  std::span<const Tensor> inputs_;
  std::span<Tensor> outputs_;
  base::ThreadPool& pool_;
  std::any& state_;
  RunEnvironment* environment_;
};

/// The facts of a running node's inputs, for operators that read their shape inputs again.
std::vector<InputFacts> facts_of(const RunContext& c);

/// How an operator treats the order of its dimensions; layout rewriting reads it.
enum class Layout : uint8_t {
  kFixed,        ///< the order of dimensions has meaning
  kElementwise,  ///< every output element depends on the input elements at its own place only
  kBroadcast,    ///< the same after broadcasting: all inputs carry data
};

/// One operator of the table: its schema, its shape inference and its execution side by side.
struct Operator {
  std::string_view name;
  std::string_view domain;
  size_t min_inputs, max_inputs, max_outputs;
  void (*infer)(InferContext&);
  void (*run)(RunContext&);
  Layout layout = Layout::kFixed;
  /// For each input, whether a quantized constant may be passed undecoded; others arrive as f32.
  bool takes_quantized_weight = false;
  /// The shapes of the outputs follow from values: `run` makes the outputs itself, with RunContext::environment.
  bool allocates = false;
};

/// The operator, or nullptr. Domain "" is ONNX's own, "nibble" holds the fused operators of the Session.
const Operator* find_operator(std::string_view name, std::string_view domain);
/// All operators in table order.
std::span<const Operator* const> all_operators();

/// Infers one node, which is an `op`, from its inputs' facts after checking the counts of inputs and outputs. Returns
/// which inputs' values had a say (InferContext::values_read); for equal shapes and equal such values the result is
/// equal.
uint64_t infer_node(const Operator& op, const Node& node, std::span<const InputFacts> inputs,
                    std::span<OutputFacts> outputs, SubgraphInference* subgraphs = nullptr);

/// Error(kMalformed) unless input `i`, where present, is a list of 32- or 64-bit integers.
void require_integers(const InferContext& c, size_t i);

/// Output 0 has the type and shape of input 0.
void infer_same(InferContext& c);

/// An axis in [-rank, rank) made non-negative; Error(kMalformed) otherwise.
int64_t checked_axis(const InferContext& c, int64_t axis, int64_t rank);

}  // namespace nibble::ops
