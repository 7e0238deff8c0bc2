// WAVE files: what the head announces is what is decoded, and every sample is finite.
#include "io/wav/wav.h"

#include <cmath>

#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const base::Bytes bytes = fuzz::as_bytes(data, size);
  fuzz::only_errors([&] {
    const io::SoundSize head = io::sound_size(bytes, "x.wav", {});
    const io::Sound sound = io::read_wav(bytes, "x.wav", {});
    fuzz::require(sound.samples.elements() == head.frames && sound.rate == head.rate);
    for (const float v : sound.samples.values<float>()) fuzz::require(std::isfinite(v));
  });
  return 0;
}
