#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace nibble::test {

/// The folder with trained networks and data beside the checkout, or an empty path where there is none.
inline std::filesystem::path shared_data() {
  if (const char* named = std::getenv("NIBBLE_SHARED_DATA")) return named;
  const auto beside = std::filesystem::path(NIBBLE_SOURCE_DIR) / ".." / "shared" / "data";
  return std::filesystem::exists(beside) ? std::filesystem::canonical(beside) : std::filesystem::path();
}

}  // namespace nibble::test

/// Skips the test, saying why, where the networks and data beside the checkout are absent.
#define NIBBLE_REQUIRE_SHARED_DATA() \
  if (::nibble::test::shared_data().empty()) GTEST_SKIP() << "the folder shared/data beside the checkout is absent"
