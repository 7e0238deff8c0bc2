// Importance matrices: what is read can be written and says the same again.
#include <memory>

#include "fuzz/only_errors.h"
#include "io/gguf/imatrix.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const auto matrix = io::gguf::read_imatrix_bytes(fuzz::as_bytes(data, size), nullptr, "x.imatrix", {});
    for (const auto& [weight, use] : matrix.weights) {
      const auto weights = io::gguf::column_weights(matrix, weight);
      fuzz::require(weights.empty() || weights.size() == use.sums.size());
      for (const float v : weights) fuzz::require(v >= 0);
    }
  });
  return 0;
}
