#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/bytes.h"
#include "base/error.h"

namespace nibble::fuzz {

inline base::Bytes as_bytes(const uint8_t* data, size_t size) { return std::as_bytes(std::span(data, size)); }

/// Runs a reader on hostile bytes: it may succeed or throw a base::Error of the user's kind. Anything else that leaves
/// it ends the process, as does an Error that says a bug of ours.
template <typename Read>
void only_errors(const Read& read) {
  try {
    read();
  } catch (const base::Error& e) {
    if (e.kind() == base::ErrorKind::kInternal) std::abort();
  }
}

inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace nibble::fuzz
