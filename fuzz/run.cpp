// Bytes -> what model::open does with a file -> one run on zeros, every node as written and in the Session's own form.
// Limits are tight, so that a network that is merely large ends early; whatever runs must not crash, hang or read
// outside its tensors.
#include <memory>
#include <string>
#include <vector>

#include "fuzz/only_errors.h"
#include "io/onnx/read.h"
#include "model/quantized_constants.h"
#include "model/upgrade.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"
#include "runtime/session.h"

namespace {

using namespace nibble;

base::Limits tight_limits() {
  base::Limits limits;
  limits.tensor_elements = 4096;
  limits.fold_one = 16 << 10;
  limits.fold_all = 64 << 10;
  limits.run_bytes = 1 << 20;
  limits.nodes = 100;
  limits.tensors = 200;
  return limits;
}

/// Zeros for every input: batches of 2, other sizes that the file leaves open are 3.
std::vector<tensor::Tensor> zeros(const graph::Graph& g) {
  std::vector<tensor::Tensor> inputs;
  for (const graph::ValueId v : g.inputs) {
    tensor::Shape shape = g.value(v).shape;
    int64_t elements = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == tensor::kUnknown) shape[d] = d == 0 ? 2 : 3;
      elements *= shape[d];
      if (elements > 4096) base::fail_limit("input", "is too large to try");
    }
    inputs.emplace_back(g.value(v).dtype, shape);
  }
  return inputs;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static base::ThreadPool pool(1);
  const base::Limits limits = tight_limits();
  const auto owner = std::make_shared<const std::string>(reinterpret_cast<const char*>(data), size);
  fuzz::only_errors([&] {
    io::Notes notes;
    graph::Graph g = io::onnx::read_bytes(base::as_bytes(*owner), owner, "fuzz.onnx", std::nullopt, limits, notes);
    model::upgrade(g);
    model::fold_quantized_constants(g);
    runtime::infer_shapes(g);
    runtime::settle(g, pool, limits);
    runtime::remove_identities(g);
    runtime::remove_dead_nodes(g);
    g.compact();
    runtime::infer_shapes(g);
    const auto inputs = zeros(g);
    for (const bool optimize : {false, true}) {
      fuzz::only_errors([&] {
        runtime::SessionOptions options;
        options.optimize = optimize;
        options.limits = limits;
        runtime::Session session(g, pool, options);
        session.run(inputs);
        session.run(inputs);  // what a node keeps between runs must still hold
      });
    }
  });
  return 0;
}
