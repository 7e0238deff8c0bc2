// Checkpoints of training: whatever the bytes, an Error or a checkpoint whose tensors lie inside them, which is the
// same when it is written and read again.
#include "fuzz/only_errors.h"
#include "io/hf/safetensors.h"
#include "train/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const train::Checkpoint c = train::parse_checkpoint(fuzz::as_bytes(data, size), nullptr, "x.checkpoint", {});
    std::vector<io::NamedTensor> copies;
    train::add_copies(copies, train::with_prefix(c.tensors, "student."), "best.");
    for (const auto& [name, tensor] : copies) fuzz::require(name.starts_with("best."));
    fuzz::require(io::parse_json(io::to_text(c.json, 0), "again", {}) == c.json);
  });
  return 0;
}
