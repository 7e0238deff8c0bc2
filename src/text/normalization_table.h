#pragma once
#include <cstddef>
#include <cstdint>

namespace nibble::text {

/// A canonical decomposition of one step: `code` is `first` then `second` (0: nothing). `composes`: NFC joins them
/// again.
struct CanonicalPair {
  char32_t code, first, second;
  bool composes;
};
/// In the order of `code`.
extern const CanonicalPair kCanonicalPairs[];
extern const size_t kCanonicalPairCount;

/// Characters `first` to `last` have this Canonical_Combining_Class; those in no range have 0. In order.
struct CombiningRange {
  char32_t first, last;
  uint8_t combining;
};
extern const CombiningRange kCombiningRanges[];
extern const size_t kCombiningRangeCount;

}  // namespace nibble::text
