#pragma once
#include <string>
#include <vector>

#include "io/vocabulary/vocabulary.h"

namespace nibble::text {

/// How tokens become text: the bytes of each, and what is dropped where a text begins.
struct TokenBytes {
  std::vector<std::string> of_token;
  std::string strip;  ///< dropped up to `most_stripped` times from the beginning of a text
  int most_stripped = 0;
  std::vector<bool> drops_first;  ///< Metaspace: tokens that lose `strip` when they come first; empty where none does
};

/// Works the vocabulary's decoders out for every token. Throws Error(kUnsupported) for steps in an order that would
/// need the whole text.
TokenBytes token_bytes(const io::Vocabulary& vocabulary);

}  // namespace nibble::text
