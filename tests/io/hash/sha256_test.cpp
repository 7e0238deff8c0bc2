#include "io/hash/sha256.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace nibble::io {
namespace {

// FIPS 180-4's examples, and the empty message.
const std::string kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, EqualsTheStandardsExamples) {
  EXPECT_EQ(hex_text(sha256({})), kEmpty);
  EXPECT_EQ(hex_text(sha256(base::as_bytes("abc"))), kAbc);
  EXPECT_EQ(hex_text(sha256(base::as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, Base64IsThatOfContentSecurityPolicy) {
  // The example of the CSP 2 specification: sha256 of "alert('Hello, world.');".
  EXPECT_EQ(base64_text(sha256(base::as_bytes("alert('Hello, world.');"))),
            "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
}

TEST(Sha256, OfFilesAndFolders) {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "nibble-hash-XXXXXX").string();
  const fs::path folder = mkdtemp(pattern.data());
  fs::create_directory(folder / "b");
  std::ofstream(folder / "b" / "x") << "abc";
  std::ofstream(folder / "a") << "";
  fs::create_symlink("a", folder / "link");
  EXPECT_EQ(sha256_of_path(folder / "b" / "x"), kAbc);
  EXPECT_EQ(sha256_of_path(folder / "a"), kEmpty);
  const std::string list = kEmpty + "  a\n" + kAbc + "  b/x\n";
  EXPECT_EQ(sha256_of_path(folder), hex_text(sha256(base::as_bytes(list))));
  fs::remove_all(folder);
  EXPECT_THROW(sha256_of_path(folder), base::Error);
}

}  // namespace
}  // namespace nibble::io
