// safetensors: every tensor lies inside the bytes.
#include "io/hf/safetensors.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    int64_t sum = 0;
    for (const auto& [name, tensor] :
         io::hf::read_safetensors(fuzz::as_bytes(data, size), nullptr, "x.safetensors", {}))
      for (const std::byte b : tensor.bytes()) sum += static_cast<int64_t>(b);
    fuzz::require(sum >= 0);
  });
  return 0;
}
