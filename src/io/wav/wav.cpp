// RIFF: "RIFF" size32 "WAVE", then chunks: a four-letter name, size32, that many bytes, and one more where the size is
// odd. All numbers are little-endian. "fmt " holds: format16, channels16, rate32, bytes a second32, bytes a frame16,
// bits16; format 0xFFFE (extensible) then has: extension size16, valid bits16, channel mask32, and a GUID of 16 bytes
// whose first two are the format.
#include "io/wav/wav.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace nibble::io {
namespace {

constexpr int64_t kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;
constexpr size_t kHeaderBytes = 12, kChunkBytes = 8;
/// The rest of the GUID of an extensible header, after the format.
constexpr std::string_view kGuidRest("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71", 14);

int64_t number(base::Bytes bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
  return static_cast<int64_t>(value);
}

std::string_view text(base::Bytes bytes, size_t at, size_t size) { return base::as_text(bytes.subspan(at, size)); }

struct Format {
  int64_t code = 0, channels = 0, rate = 0, bits = 0;
};

Format read_format(base::Bytes chunk, const std::string& place) {
  if (chunk.size() < 16) base::fail_malformed(place, "its format chunk is too short");
  Format f{number(chunk, 0, 2), number(chunk, 2, 2), number(chunk, 4, 4), number(chunk, 14, 2)};
  if (f.code == kExtensible) {
    if (chunk.size() < 40) base::fail_malformed(place, "its extensible format chunk is too short");
    if (text(chunk, 26, 14) != kGuidRest) base::fail_unsupported(place, "its samples are in a format of their own");
    f.code = number(chunk, 24, 2);
  }
  if (f.code != kPcm && f.code != kFloat)
    base::fail_unsupported(place, "its samples are compressed (format " + std::to_string(f.code) + ")",
                           "write it as PCM: ffmpeg -i IN -c:a pcm_s16le OUT.wav");
  const bool known = f.code == kFloat ? f.bits == 32 : f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32;
  if (!known)
    base::fail_unsupported(place,
                           "its samples have " + std::to_string(f.bits) + (f.code == kFloat ? " bit floats" : " bits"),
                           "PCM of 8, 16, 24 and 32 bits and floats of 32 bits are read");
  if (f.channels < 1 || f.rate < 1)
    base::fail_malformed(
        place, "it has " + std::to_string(f.channels) + " channels at " + std::to_string(f.rate) + " samples a second");
  if (number(chunk, 12, 2) != f.channels * f.bits / 8)
    base::fail_malformed(place, "its frames of " + std::to_string(number(chunk, 12, 2)) + " bytes do not hold " +
                                    std::to_string(f.channels) + " channels of " + std::to_string(f.bits) + " bits");
  return f;
}

double sample(base::Bytes data, size_t at, const Format& f) {
  const auto size = static_cast<size_t>(f.bits / 8);
  const int64_t raw = number(data, at, size);
  if (f.code == kFloat) return std::bit_cast<float>(static_cast<uint32_t>(raw));
  if (f.bits == 8) return static_cast<double>(raw - 128) / 128;
  const int64_t half = int64_t{1} << (f.bits - 1);
  return static_cast<double>(raw >= half ? raw - 2 * half : raw) / static_cast<double>(half);
}

}  // namespace

bool is_wav(base::Bytes bytes) {
  return bytes.size() >= kHeaderBytes && text(bytes, 0, 4) == "RIFF" && text(bytes, 8, 4) == "WAVE";
}

namespace {

struct Located {
  Format format;
  base::Bytes data;  // whole frames
  int64_t frames = 0;
};

Located locate(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  if (!is_wav(bytes)) base::fail_malformed(place, "is no WAVE file");
  Format format;
  bool have_format = false, have_data = false;
  base::Bytes data;
  for (size_t at = kHeaderBytes; at < bytes.size() && !(have_format && have_data);) {
    if (bytes.size() - at < kChunkBytes) base::fail_malformed(place, "ends inside the head of a chunk");
    const std::string_view name = text(bytes, at, 4);
    const auto size = static_cast<size_t>(number(bytes, at + 4, 4));
    at += kChunkBytes;
    if (size > bytes.size() - at)
      base::fail_malformed(
          place, "its chunk " + base::in_quotes(name) + " of " + std::to_string(size) + " bytes ends after the file",
          "copy or download it again");
    if (name == "fmt ") {
      if (have_format) base::fail_malformed(place, "has two format chunks");
      format = read_format(bytes.subspan(at, size), place);
      have_format = true;
    } else if (name == "data") {
      if (have_data) base::fail_malformed(place, "has two data chunks before its format");
      data = bytes.subspan(at, size);
      have_data = true;
    }
    at += size;
    if (size % 2 && at < bytes.size()) ++at;
  }
  if (!have_format || !have_data) base::fail_malformed(place, "has no format and data chunks");
  const auto frame = static_cast<size_t>(format.channels * format.bits / 8);
  if (data.size() % frame != 0)
    base::fail_malformed(place, "its data of " + std::to_string(data.size()) +
                                    " bytes is no whole number of frames of " + std::to_string(frame));
  const auto frames = static_cast<int64_t>(data.size() / frame);
  base::check_limit(frames, limits.tensor_elements, "tensor-elements", place, "its number of samples");
  return {format, data, frames};
}

}  // namespace

SoundSize sound_size(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  const Located at = locate(bytes, place, limits);
  return {at.format.rate, at.format.channels, at.frames};
}

Sound read_wav(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  const auto [format, data, frames] = locate(bytes, place, limits);
  const auto frame = static_cast<size_t>(format.channels * format.bits / 8);
  Sound sound{format.rate, format.channels, tensor::Tensor(tensor::DType::f32, {frames}, true)};
  const auto out = sound.samples.mutable_values<float>();
  const auto size = static_cast<size_t>(format.bits / 8);
  for (size_t i = 0; i < out.size(); ++i) {
    double sum = 0;
    for (size_t c = 0; c < static_cast<size_t>(format.channels); ++c) sum += sample(data, i * frame + c * size, format);
    out[i] = static_cast<float>(sum / static_cast<double>(format.channels));
    if (!std::isfinite(out[i]))
      base::fail_malformed(place,
                           "its sample " + std::to_string(i) + " is " + (std::isnan(out[i]) ? "NaN" : "infinite"));
  }
  return sound;
}

}  // namespace nibble::io
