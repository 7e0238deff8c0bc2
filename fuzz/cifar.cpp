// CIFAR binary files: every record of an accepted file can be read.
#include "io/cifar/cifar.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const io::CifarFile file(fuzz::as_bytes(data, size), nullptr, "x.bin");
    for (int64_t i = 0; i < file.size(); ++i) {
      fuzz::require(file.label(i) >= 0 && file.label(i) < file.classes());
      fuzz::require(file.image(i).pixels.size() == 3072);
    }
  });
  return 0;
}
