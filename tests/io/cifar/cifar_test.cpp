#include "io/cifar/cifar.h"

#include "data/expected_files.h"

namespace nibble::io {
namespace {

using test::expect_error;

/// A record whose byte i of plane c is (i + 7 c) mod 251.
std::string record(const std::string& labels) {
  std::string out = labels;
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < 1024; ++i) out += static_cast<char>((i + 7 * c) % 251);
  return out;
}

TEST(CifarFile, ReadsBothForms) {
  const std::string ten = record("\3") + record("\x09");
  const CifarFile file(base::as_bytes(ten), nullptr, "ten.bin");
  EXPECT_EQ(file.size(), 2);
  EXPECT_EQ(file.classes(), 10);
  EXPECT_EQ(file.label(1), 9);
  const Image image = file.image(1);
  EXPECT_EQ(image.width, 32);
  EXPECT_EQ(image.channels, 3);
  for (int64_t i = 0; i < 1024; ++i)
    for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(image.pixels[static_cast<size_t>(3 * i + c)], (i + 7 * c) % 251);

  const std::string hundred = record("\x13\x63");
  const CifarFile fine(base::as_bytes(hundred), nullptr, "hundred.bin");
  EXPECT_EQ(fine.classes(), 100);
  EXPECT_EQ(fine.label(0), 99);
  EXPECT_EQ(fine.image(0).pixels, image.pixels);
}

TEST(CifarFile, RefusesLabelsOutOfRange) {
  const auto refuse = [](const std::string& bytes, const std::string& part) {
    expect_error(base::ErrorKind::kMalformed, part, [&] { CifarFile(base::as_bytes(bytes), nullptr, "bad.bin"); });
  };
  refuse(record("\1") + record("\x0A"), "the label of record 1 is 10");
  refuse(record("\x13\x64"), "the label of record 0 is 100");
  refuse(record("\x14\x63"), "the label of record 0 is 20");
}

TEST(CifarFile, RefusesEveryOtherLength) {
  const std::string one = record("\1");
  test::expect_prefixes_refused(base::as_bytes(one), [](base::Bytes part) { CifarFile(part, nullptr, "part"); });
  EXPECT_FALSE(CifarFile::fits(0));
  EXPECT_TRUE(CifarFile::fits(3074));
}

}  // namespace
}  // namespace nibble::io
