#include "io/wav/wav.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "data/expected_files.h"
#include "io/wav/wav_bytes.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;
using test::wav_bytes;
using test::WavSpec;

Sound read(const std::string& bytes, const base::Limits& limits = {}) {
  return read_wav(base::as_bytes(bytes), "x.wav", limits);
}
std::vector<float> values(const Sound& sound) {
  const auto v = sound.samples.values<float>();
  return {v.begin(), v.end()};
}

TEST(Wav, IntegersOfEveryWidthAreFractionsOfTheirRange) {
  EXPECT_EQ(values(read(wav_bytes({.bits = 8, .data = {"\x00\x80\xC0\xFF", 4}}))),
            (std::vector<float>{-1, 0, 0.5f, 127.0f / 128}));
  EXPECT_EQ(values(read(wav_bytes({.bits = 16, .data = {"\x00\x80\x00\x00\x00\x40\xFF\x7F", 8}}))),
            (std::vector<float>{-1, 0, 0.5f, 32767.0f / 32768}));
  EXPECT_EQ(values(read(wav_bytes({.bits = 24, .data = {"\x00\x00\x80\x00\x00\x40\xFF\xFF\xFF", 9}}))),
            (std::vector<float>{-1, 0.5f, -1.0f / (1 << 23)}));
  EXPECT_EQ(values(read(wav_bytes({.bits = 32, .data = {"\x00\x00\x00\x80\x00\x00\x00\x40", 8}}))),
            (std::vector<float>{-1, 0.5f}));
}

TEST(Wav, FloatsStayAsTheyAreAndMayBeExtensible) {
  const float numbers[] = {0.25f, -1.5f};
  std::string data(8, '\0');
  std::memcpy(data.data(), numbers, 8);
  EXPECT_EQ(values(read(wav_bytes({.code = 3, .bits = 32, .data = data}))), (std::vector<float>{0.25f, -1.5f}));
  EXPECT_EQ(values(read(wav_bytes({.code = 3, .bits = 32, .data = data, .extensible = true}))),
            (std::vector<float>{0.25f, -1.5f}));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::memcpy(data.data() + 4, &bad, 4);
    expect_error(ErrorKind::kMalformed, "sample 1", [&] { read(wav_bytes({.code = 3, .bits = 32, .data = data})); });
  }
}

TEST(Wav, ChannelsAreAveragedAndOtherChunksSkipped) {
  WavSpec spec{.channels = 2, .rate = 8000, .bits = 8, .data = {"\x80\xC0\xFF\x81", 4}};
  spec.before = std::string("LIST\3\0\0\0abc\0", 12);  // an odd size is filled up
  const Sound sound = read(wav_bytes(spec));
  EXPECT_EQ(values(sound), (std::vector<float>{0.25f, 0.5f}));
  EXPECT_EQ(sound.rate, 8000);
  EXPECT_EQ(sound.channels, 2);
  const std::string bytes = wav_bytes(spec);
  const SoundSize size = sound_size(base::as_bytes(bytes), "x.wav", {});
  EXPECT_EQ(size.frames, 2);
  EXPECT_EQ(size.rate, 8000);
}

TEST(Wav, EveryPrefixIsRefused) {
  const std::string bytes = wav_bytes({.bits = 16, .data = std::string(32, 'x')});
  test::expect_prefixes_refused(base::as_bytes(bytes), [](base::Bytes b) { read_wav(b, "x.wav", {}); });
}

TEST(Wav, ContradictionsAndOtherFormatsAreRefused) {
  const auto bad = [](ErrorKind kind, const std::string& part, const WavSpec& spec) {
    expect_error(kind, part, [&] { read(wav_bytes(spec)); });
  };
  bad(ErrorKind::kUnsupported, "format 2", {.code = 2, .bits = 16, .data = std::string(4, '\0')});
  bad(ErrorKind::kUnsupported, "12 bits", {.bits = 12, .data = std::string(4, '\0')});
  bad(ErrorKind::kUnsupported, "64 bit floats", {.code = 3, .bits = 64, .data = std::string(8, '\0')});
  bad(ErrorKind::kMalformed, "0 channels", {.channels = 0, .bits = 16, .data = std::string(4, '\0')});
  bad(ErrorKind::kMalformed, "0 samples a second", {.rate = 0, .bits = 16, .data = std::string(4, '\0')});
  bad(ErrorKind::kMalformed, "whole number of frames", {.bits = 16, .data = std::string(3, '\0')});
  bad(ErrorKind::kMalformed, "frames of 7 bytes", {.bits = 16, .data = std::string(4, '\0'), .frame_bytes = 7});
  bad(ErrorKind::kMalformed, "ends after the file",
      {.bits = 16, .data = std::string(4, '\0'), .data_size = 0xFFFFFFFFu});
  expect_error(ErrorKind::kMalformed, "no format and data", [] { read(std::string("RIFF\4\0\0\0WAVE", 12)); });
  expect_error(ErrorKind::kMalformed, "no WAVE", [] { read("RIFX and so on"); });
  base::Limits limits;
  limits.tensor_elements = 3;
  expect_error(ErrorKind::kLimit, "tensor-elements",
               [&] { read(wav_bytes({.bits = 8, .data = std::string(4, '\0')}), limits); });
}

}  // namespace
}  // namespace nibble::io
