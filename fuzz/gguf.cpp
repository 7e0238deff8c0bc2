// GGUF: what is read every key answers, and tensors lie inside the bytes.
#include <memory>

#include "fuzz/only_errors.h"
#include "io/gguf/read.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  base::Limits limits;
  limits.tensor_elements = 1 << 24;
  fuzz::only_errors([&] {
    const auto file = io::gguf::read_bytes(fuzz::as_bytes(data, size), nullptr, "x.gguf", limits);
    int64_t sum = 0;
    for (const auto& [name, tensor] : file.tensors)
      for (const std::byte b : tensor.bytes()) sum += static_cast<int64_t>(b);
    fuzz::require(sum >= 0);
    for (const auto& [key, value] : file.metadata.pairs()) fuzz::require(file.metadata.find(key) == &value);
  });
  return 0;
}
