#include "io/idx/idx.h"

#include "data/expected_files.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using tensor::DType;
using tensor::Shape;
using test::expect_error;

tensor::Tensor read(const std::string& bytes) { return read_idx(base::as_bytes(bytes), nullptr, "made.idx", {}); }

const std::string kBytes("\0\0\x08\2\0\0\0\2\0\0\0\3abcdef", 18);
const std::string kShorts("\0\0\x0B\1\0\0\0\2\1\2\xFF\xFE", 12);
const std::string kFloats("\0\0\x0D\1\0\0\0\1\x3F\x80\0\0", 12);

TEST(ReadIdx, ReadsBytesAndTurnsWiderTypesRound) {
  const tensor::Tensor bytes = read(kBytes);
  EXPECT_EQ(bytes.shape(), (Shape{2, 3}));
  EXPECT_EQ(base::as_text(bytes.bytes()), "abcdef");
  const tensor::Tensor shorts = read(kShorts);
  EXPECT_EQ(shorts.dtype(), DType::i16);
  EXPECT_EQ(shorts.values<int16_t>()[0], 0x0102);
  EXPECT_EQ(shorts.values<int16_t>()[1], -2);
  EXPECT_EQ(read(kFloats).values<float>()[0], 1.0f);
}

TEST(ReadIdx, RefusesEveryPrefixAndTrailingBytes) {
  for (const std::string& file : {kBytes, kShorts, kFloats}) {
    test::expect_prefixes_refused(base::as_bytes(file), [](base::Bytes part) { read_idx(part, nullptr, "part", {}); });
    expect_error(ErrorKind::kMalformed, "follow the header", [&] { read(file + "x"); });
  }
}

TEST(ReadIdx, RefusesUnknownTypesRanksAndSizes) {
  for (const std::string& bad : {std::string("\0\0\x0A\1\0\0\0\1x", 9), std::string("\0\0\x08\5", 4),
                                 std::string("\0\0\x08\0x", 5), std::string("\1\0\x08\1\0\0\0\1x", 9)})
    expect_error(ErrorKind::kMalformed, "is no idx file", [&] { read(bad); });
  expect_error(ErrorKind::kMalformed, "exceeds", [] {
    read(std::string("\0\0\x08\4\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 20));
  });
  EXPECT_EQ(read(std::string("\0\0\x08\2\0\0\0\0\xFF\xFF\xFF\xFF", 12)).elements(), 0);
  // Sizes beside a 0 whose product does not fit 63 bits.
  const std::string huge("\0\0\x08\4\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", 20);
  EXPECT_EQ(read(huge).elements(), 0);
}

TEST(IsIdx, LooksAtTheFirstFourBytes) {
  EXPECT_TRUE(is_idx(base::as_bytes(kBytes)));
  EXPECT_FALSE(is_idx(base::as_bytes(std::string_view(kBytes).substr(0, 3))));
  EXPECT_FALSE(is_idx(base::as_bytes("hello")));
}

}  // namespace
}  // namespace nibble::io
