#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "io/npy/npy.h"

/// Access to tests/data/expected, which make_expected.py makes.
namespace nibble::test {

inline std::filesystem::path expected_path(const std::string& name) {
  return std::filesystem::path(NIBBLE_SOURCE_DIR) / "tests" / "data" / "expected" / name;
}

inline std::shared_ptr<const base::MappedFile> expected_file(const std::string& name) {
  return base::MappedFile::open(expected_path(name));
}

inline tensor::Tensor expected_array(const std::string& name) {
  const auto file = expected_file(name);
  return io::read_npy(file->bytes(), file, name, {});
}

/// Calls `action`, which must throw a base::Error of `kind` whose text contains `part`.
template <typename Action>
void expect_error(base::ErrorKind kind, const std::string& part, const Action& action) {
  try {
    action();
    ADD_FAILURE() << "no error, one was expected that says: " << part;
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << "\"" << e.what() << "\" does not say: " << part;
  }
}

/// Every proper prefix of `bytes` must make `read` throw a base::Error (and nothing else).
template <typename Read>
void expect_prefixes_refused(base::Bytes bytes, const Read& read) {
  for (size_t n = 0; n < bytes.size(); ++n) {
    // A copy of exactly n bytes, so that a sanitizer sees a read past them.
    const auto part = std::make_unique<std::byte[]>(n);
    std::copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n), part.get());
    try {
      read(base::Bytes(part.get(), n));
      ADD_FAILURE() << "the first " << n << " of " << bytes.size() << " bytes are accepted";
      return;
    } catch (const base::Error& e) {
      if (e.kind() == base::ErrorKind::kInternal) ADD_FAILURE() << e.what();
    }
  }
}

}  // namespace nibble::test
