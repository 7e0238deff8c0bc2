#pragma once
#include <cstdint>
#include <optional>
#include <string>

/// WAVE files put together byte by byte, so that every field can lie.
namespace nibble::test {

struct WavSpec {
  uint32_t code = 1;  ///< 1: PCM, 3: floats
  uint32_t channels = 1, rate = 16000, bits = 16;
  std::string data;
  bool extensible = false;
  std::optional<uint32_t> frame_bytes = {}, data_size = {};  ///< instead of the true ones
  std::string before = {};                                   ///< chunks between format and data
};

inline std::string wav_bytes(const WavSpec& s) {
  const auto number = [](uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const uint32_t frame = s.frame_bytes.value_or(s.channels * s.bits / 8);
  std::string format = number(s.extensible ? 0xFFFE : s.code, 2) + number(s.channels, 2) + number(s.rate, 4) +
                       number(uint64_t{s.rate} * frame, 4) + number(frame, 2) + number(s.bits, 2);
  if (s.extensible)
    format += number(22, 2) + number(s.bits, 2) + number(0, 4) + number(s.code, 2) +
              std::string("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71", 14);
  const std::string body = "WAVEfmt " + number(format.size(), 4) + format + s.before + "data" +
                           number(s.data_size.value_or(static_cast<uint32_t>(s.data.size())), 4) + s.data;
  return "RIFF" + number(body.size(), 4) + body;
}

}  // namespace nibble::test
