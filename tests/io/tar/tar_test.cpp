#include "io/tar/tar.h"

#include <gtest/gtest.h>

#include "data/expected_files.h"
#include "io/tar/tar_bytes.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;
using test::gzipped;
using test::tar_bytes;

TarFile open(const std::string& bytes, const base::Limits& limits = {}) {
  return TarFile(base::as_bytes(bytes), nullptr, "x.tar", limits);
}
std::string text(const TarFile& tar, size_t i) { return std::string(base::as_text(tar.entries().at(i).bytes)); }

TEST(Tar, GivesFilesSortedAndViewsOfThePlainArchive) {
  const std::string bytes = tar_bytes({{"b.txt", "second"},
                                       {"dir/", "", '5'},
                                       {"./a.txt", std::string(1000, 'a')},
                                       {"empty", ""},
                                       {"link", "", '2', {}, "b.txt"}});
  EXPECT_TRUE(is_tar(base::as_bytes(bytes)));
  const TarFile tar = open(bytes);
  ASSERT_EQ(tar.entries().size(), 3u);
  EXPECT_EQ(tar.entries()[0].name, "a.txt");
  EXPECT_EQ(text(tar, 0), std::string(1000, 'a'));
  EXPECT_EQ(tar.entries()[1].name, "b.txt");
  EXPECT_EQ(text(tar, 2), "");
  EXPECT_EQ(tar.left_out(), 1);
  EXPECT_EQ(tar.place_of(1), "x.tar: b.txt");
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  EXPECT_GE(tar.entries()[0].bytes.data(), begin);
  EXPECT_LT(tar.entries()[0].bytes.data(), begin + bytes.size());
}

TEST(Tar, IsReadThroughGzip) {
  const std::string bytes = gzipped(tar_bytes({{"a", std::string(200'000, 'x')}, {"b", "y"}}));
  EXPECT_TRUE(is_tar(base::as_bytes(bytes)));
  const TarFile tar = open(bytes);
  EXPECT_EQ(text(tar, 0), std::string(200'000, 'x'));
  EXPECT_EQ(text(tar, 1), "y");
  EXPECT_FALSE(is_tar(base::as_bytes(gzipped("no archive at all, though compressed"))));
  EXPECT_FALSE(is_tar(base::as_bytes(std::string("\x1F\x8B", 2))));
  EXPECT_FALSE(is_tar({}));
}

TEST(Tar, TruncatedAndDamagedArchivesAreRefused) {
  const std::string whole = tar_bytes({{"a", std::string(700, 'a')}, {"b", std::string(700, 'b')}});
  // Cut inside a header or inside data; between two entries the format cannot tell.
  for (const size_t size : {100, 511, 600, 1023, 1200, 2000, 2600}) {
    SCOPED_TRACE(size);
    expect_error(ErrorKind::kMalformed, "x.tar", [&] { open(whole.substr(0, size)); });
  }
  const std::string packed = gzipped(whole);
  for (size_t size = 10; size < packed.size(); size += 7) {
    SCOPED_TRACE(std::to_string(size) + " of " + std::to_string(packed.size()));
    expect_error(ErrorKind::kMalformed, "x.tar", [&] { open(packed.substr(0, size)); });
  }
  std::string damaged = whole;
  damaged[512 + 1024 + 3] ^= 1;  // in the second header's name: its checksum does not fit
  expect_error(ErrorKind::kMalformed, "x.tar", [&] { open(damaged); });
  expect_error(ErrorKind::kMalformed, "x.tar", [&] { open("no archive"); });
  expect_error(ErrorKind::kMalformed, "x.tar", [&] { open(""); });
}

TEST(Tar, SizesThatLieReserveNothing) {
  expect_error(ErrorKind::kMalformed, "a", [&] { open(tar_bytes({{"a", "x", '0', 0777'7777'7777ull}})); });
  const std::string huge = tar_bytes({{"a", "", '0', uint64_t{1} << 32}});
  expect_error(ErrorKind::kMalformed, "a", [&] { open(huge); });
}

TEST(Tar, LinksThatAreFilesAndEqualNamesAreRefused) {
  expect_error(ErrorKind::kUnsupported, "hard link", [] { open(tar_bytes({{"a", "x"}, {"b", "", '1', {}, "a"}})); });
  expect_error(ErrorKind::kMalformed, "two entries", [] { open(tar_bytes({{"a", "x"}, {"./a", "y"}})); });
}

TEST(Tar, LimitsHold) {
  base::Limits limits;
  limits.zip_entries = 2;
  const std::string three = tar_bytes({{"a", ""}, {"b", ""}, {"dir/", "", '5'}});
  expect_error(ErrorKind::kLimit, "zip-entries", [&] { open(three, limits); });
  limits = {};
  limits.zip_bytes = 100;
  expect_error(ErrorKind::kLimit, "zip-bytes", [&] { open(tar_bytes({{"a", std::string(101, 'a')}}), limits); });
  limits = {};
  limits.name_bytes = 3;
  expect_error(ErrorKind::kLimit, "name-bytes", [&] { open(tar_bytes({{"long", ""}}), limits); });
  // A bomb: 4 MiB of zeros in a few kB.
  const std::string bomb = gzipped(tar_bytes({{"a", std::string(4 << 20, '\0')}}));
  expect_error(ErrorKind::kLimit, "zip-ratio", [&] { open(bomb); });
}

}  // namespace
}  // namespace nibble::io
