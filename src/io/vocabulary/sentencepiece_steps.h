#pragma once
#include "io/vocabulary/vocabulary.h"

namespace nibble::io {

/// What SentencePiece's normalizer and decoder do, as steps: spaces collapsed where `collapse_spaces`, a space put
/// first where `prefix_space` (and dropped again from the decoded text), spaces written as U+2581.
void set_sentencepiece_steps(Vocabulary& vocabulary, bool prefix_space, bool collapse_spaces);

}  // namespace nibble::io
