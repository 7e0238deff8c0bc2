#include "io/zip/zip.h"

#include <zlib.h>

#include <cstring>

#include "data/expected_files.h"
#include "io/zip/gunzip.h"
#include "io/zip/zip_bytes.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::deflated;
using test::expect_error;
using test::zip_bytes;
using test::ZipEntrySpec;

std::string read(const std::string& bytes, size_t index, const base::Limits& limits = {}) {
  const ZipFile zip(base::as_bytes(bytes), nullptr, "made.zip", limits);
  return std::string(base::as_text(zip.read(index)));
}

TEST(ZipFile, SortsEntriesAndReadsStoredAndDeflated) {
  const std::string text(5000, 'x');
  const std::string bytes = zip_bytes({{.name = "b.txt", .data = "stored"},
                                       {.name = "folder/", .data = ""},
                                       {.name = "a.txt", .data = text, .deflate = true},
                                       {.name = "folder/c", .data = ""}});
  const ZipFile zip(base::as_bytes(bytes), nullptr, "made.zip", {});
  ASSERT_EQ(zip.entries().size(), 3u);
  EXPECT_EQ(zip.entries()[0].name, "a.txt");
  EXPECT_EQ(zip.entries()[0].size, 5000);
  EXPECT_EQ(zip.entries()[2].name, "folder/c");
  EXPECT_EQ(base::as_text(zip.read(0)), text);
  EXPECT_EQ(base::as_text(zip.read(1)), "stored");
  EXPECT_TRUE(zip.read(2).empty());
  EXPECT_EQ(zip.find("b.txt"), 1u);
  EXPECT_EQ(zip.find("nothing"), std::nullopt);
  EXPECT_EQ(zip.place_of(1), "made.zip: b.txt");
}

TEST(ZipFile, RefusesEveryPrefix) {
  const std::string bytes =
      zip_bytes({{.name = "a", .data = "hello hello hello", .deflate = true}, {.name = "b", .data = "x"}});
  test::expect_prefixes_refused(base::as_bytes(bytes), [](base::Bytes part) {
    const ZipFile zip(part, nullptr, "part", {});
    for (size_t i = 0; i < zip.entries().size(); ++i) zip.read(i);
  });
}

TEST(ZipFile, RefusesAWrongCrc) {
  std::string bytes = zip_bytes({{.name = "a", .data = "hello", .crc = 1234}});
  expect_error(ErrorKind::kMalformed, "made.zip: a: is damaged", [&] { read(bytes, 0); });
}

TEST(ZipFile, RefusesSizesThatLie) {
  // Longer than announced, in both headers.
  const std::string text(3000, 'y');
  EXPECT_THROW(read(zip_bytes({{.name = "a", .data = text, .deflate = true, .size = 2999}}), 0), base::Error);
  EXPECT_THROW(read(zip_bytes({{.name = "a", .data = text, .deflate = true, .size = 3001}}), 0), base::Error);
  expect_error(ErrorKind::kMalformed, "", [&] { read(zip_bytes({{.name = "a", .data = "abc", .size = 1000}}), 0); });
}

TEST(ZipFile, ComparesTheTwoHeaders) {
  EXPECT_THROW(read(zip_bytes({{.name = "abc", .data = "text", .local_name = "abd"}}), 0), base::Error);
}

TEST(ZipFile, RefusesBombsByRatio) {
  const std::string bomb(4 << 20, '\0');
  expect_error(ErrorKind::kLimit,
               "--limit zip-ratio=", [&] { read(zip_bytes({{.name = "bomb", .data = bomb, .deflate = true}}), 0); });
  base::Limits limits;
  limits.zip_ratio = 2000;
  EXPECT_EQ(read(zip_bytes({{.name = "bomb", .data = bomb, .deflate = true}}), 0, limits).size(), bomb.size());
  // A size that is made up costs nothing: no more is allocated than arrives.
  expect_error(ErrorKind::kLimit, "zip-ratio",
               [&] { read(zip_bytes({{.name = "lie", .data = "abc", .deflate = true, .size = 0xFFFFFFF0u}}), 0); });
}

TEST(ZipFile, ChecksEntriesBytesAndNames) {
  const std::string two = zip_bytes({{.name = "first", .data = "12345"}, {.name = "second", .data = "12345"}});
  base::Limits limits;
  limits.zip_entries = 1;
  expect_error(ErrorKind::kLimit, "--limit zip-entries=2", [&] { read(two, 0, limits); });
  limits = {};
  limits.zip_bytes = 9;
  expect_error(ErrorKind::kLimit, "--limit zip-bytes=10", [&] { read(two, 0, limits); });
  limits = {};
  limits.name_bytes = 5;
  expect_error(ErrorKind::kLimit, "--limit name-bytes=6", [&] { read(two, 0, limits); });
}

TEST(ZipFile, RefusesTheSameNameTwice) {
  EXPECT_THROW(read(zip_bytes({{.name = "a", .data = "1"}, {.name = "a", .data = "2"}}), 0), base::Error);
}

TEST(ZipFile, RefusesEncryptionAndOtherCompression) {
  expect_error(ErrorKind::kUnsupported, "is encrypted",
               [] { read(zip_bytes({{.name = "a", .data = "secret", .flags = 1}}), 0); });
  expect_error(ErrorKind::kUnsupported, "method 12",
               [] { read(zip_bytes({{.name = "a", .data = "bz", .method = 12}}), 0); });
}

TEST(ZipFile, RefusesWhatIsNoZip) {
  expect_error(ErrorKind::kMalformed, "is no zip file", [] { read("this is no zip file at all, is it?", 0); });
  expect_error(ErrorKind::kMalformed, "is no zip file", [] { read("", 0); });
  expect_error(ErrorKind::kMalformed, "is no sound zip file",
               [] { read("PK\3\4 and then nothing of the kind .....", 0); });
}

TEST(ZipFile, LetsNoControlByteOfANameIntoAMessage) {
  const std::string bytes = zip_bytes({{.name = "a\x1B[2J\x07", .data = "x", .flags = 1}});
  try {
    read(bytes, 0);
    FAIL();
  } catch (const base::Error& e) {
    for (const char* c = e.what(); *c; ++c) ASSERT_GE(static_cast<unsigned char>(*c), 0x20) << e.what();
  }
}

std::string gzip_of(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Gunzip, ExpandsAndChecks) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i);
  const std::string gz = gzip_of(text);
  EXPECT_EQ(base::as_text(gunzip(base::as_bytes(gz), "made.gz", {})), text);
  const std::string small = gzip_of("hello, hello, hello");
  test::expect_prefixes_refused(base::as_bytes(small), [](base::Bytes part) { gunzip(part, "part", {}); });
  expect_error(ErrorKind::kMalformed, "more bytes follow", [&] { gunzip(base::as_bytes(small + "x"), "made.gz", {}); });
  std::string damaged = small;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // in the CRC
  expect_error(ErrorKind::kMalformed, "is damaged", [&] { gunzip(base::as_bytes(damaged), "made.gz", {}); });
}

TEST(Gunzip, StopsAtItsLimits) {
  const std::string gz = gzip_of(std::string(8 << 20, '\0'));
  expect_error(ErrorKind::kLimit, "--limit zip-ratio=", [&] { gunzip(base::as_bytes(gz), "bomb.gz", {}); });
  base::Limits limits;
  limits.zip_ratio = 100'000;
  EXPECT_EQ(gunzip(base::as_bytes(gz), "bomb.gz", limits).size(), size_t{8} << 20);
  limits.zip_bytes = 1000;
  expect_error(ErrorKind::kLimit, "--limit zip-bytes=", [&] { gunzip(base::as_bytes(gz), "bomb.gz", limits); });
}

}  // namespace
}  // namespace nibble::io
