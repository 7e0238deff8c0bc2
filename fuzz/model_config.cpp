// config.json: every architecture reads it or refuses it, and its sizes are of reason.
#include "arch/architecture.h"
#include "arch/rope.h"
#include "fuzz/only_errors.h"
#include "io/hf/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const arch::Architecture* architecture : arch::all_architectures())
    fuzz::only_errors([&] {
      const io::Json json = io::parse_json(text, "config.json", {});
      const arch::Hyperparameters h = architecture->from_config(io::hf::JsonConfiguration(json, "config.json"));
      fuzz::require(h.heads % h.kv_heads == 0 && h.layers >= 1 && h.rope.dimensions <= h.head_size);
      if (h.rope.dimensions < 4096)
        for (const float f : arch::rotation(h.rope).frequencies) fuzz::require(f >= 0);
    });
  return 0;
}
