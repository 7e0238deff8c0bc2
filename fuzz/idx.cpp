// MNIST's idx, gzipped or not.
#include "io/idx/idx.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  base::Limits limits;
  limits.zip_bytes = 1 << 22;
  fuzz::only_errors([&] {
    const tensor::Tensor array = io::read_idx(fuzz::as_bytes(data, size), nullptr, "x.idx", limits);
    fuzz::require(static_cast<int64_t>(array.bytes().size()) == tensor::packed_bytes(array.dtype(), array.elements()));
  });
  return 0;
}
