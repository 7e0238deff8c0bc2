#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/limits.h"
#include "tensor/tensor.h"

namespace nibble::io {

/// Sound: `samples` is f32 [frames], the mean of all channels.
struct Sound {
  int64_t rate = 0;      ///< samples a second
  int64_t channels = 0;  ///< that the file has; more than one were mixed down
  tensor::Tensor samples;
};

bool is_wav(base::Bytes bytes);

/// What the head says, without decoding: throws as read_wav does, but for values that are not finite.
struct SoundSize {
  int64_t rate = 0, channels = 0, frames = 0;
};
SoundSize sound_size(base::Bytes bytes, const std::string& place, const base::Limits& limits);

/// Reads a RIFF WAVE file: PCM of 8, 16, 24 or 32 bits and IEEE floats of 32 bits, also behind a
/// WAVE_FORMAT_EXTENSIBLE header. Integers become numbers in [-1, 1): 8 bits (x - 128) / 128, the others
/// x / 2^(bits - 1); floats stay as they are. Several channels are averaged in double. Chunks that are neither format
/// nor data are skipped. Throws Error: kMalformed (truncated, contradictory, values that are not finite), kUnsupported
/// (compressed, other widths), kLimit (tensor-elements).
Sound read_wav(base::Bytes bytes, const std::string& place, const base::Limits& limits);

}  // namespace nibble::io
