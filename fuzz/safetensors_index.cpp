// model.safetensors.index.json: a part is never outside of the folder.
#include "fuzz/only_errors.h"
#include "io/hf/folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [tensor, part] : io::hf::read_index(io::parse_json(text, "index.json", {}), "index.json"))
      fuzz::require(part.find('/') == std::string::npos && part.find('\0') == std::string::npos &&
                    part.ends_with(".safetensors"));
  });
  return 0;
}
