// Bytes -> wire pass, protobuf, graph checks, upgrade, folding and expanding of quantized constants, in both styles. A
// Graph that was read and folded can be expanded unless that is refused, and what was expanded folds again.
#include <memory>
#include <string>

#include "fuzz/only_errors.h"
#include "io/onnx/read.h"
#include "model/matmul_nbits_form.h"
#include "model/quantized_constants.h"
#include "model/upgrade.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  // A copy of the exact size, so that a read past the end is seen.
  const auto owner = std::make_shared<const std::string>(reinterpret_cast<const char*>(data), size);
  fuzz::only_errors([&] {
    io::Notes notes;
    graph::Graph g = io::onnx::read_bytes(base::as_bytes(*owner), owner, "fuzz.onnx", std::nullopt, {}, notes);
    model::upgrade(g);
    model::fold_quantized_constants(g);
    model::fold_nbits(g);
    graph::Graph packed = g;
    model::use_matmul_nbits(packed);
    model::add_scale_casts(packed);
    model::fold_nbits(packed);
    model::expand_quantized_constants(g);
    model::fold_quantized_constants(g);
  });
  return 0;
}
