#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "data/labels.h"

namespace nibble::data {

/// How words (folder names, matches, entries of a file) stand for classes.
enum class WordMeaning { kClassName, kNumber, kSortedPlace };

/// Chooses: all words are in `class_names`, else all are whole numbers, else (where `may_sort`) their sorted place.
/// Throws Error(kMalformed) naming the first word that is neither.
WordMeaning meaning_of(const std::vector<std::string>& words, const std::vector<std::string>& class_names,
                       bool may_sort, const std::string& place);
/// The class of a word; `sorted` serves kSortedPlace.
int64_t label_of(std::string_view word, WordMeaning meaning, const std::vector<std::string>& class_names,
                 const std::vector<std::string>& sorted);

/// Labels of the samples called `names` from a file: .npy or idx (one integer a sample, in order), or text. A text line
/// is `name,label` (or with a TAB; names with or without their folders) or a label alone, one a line in order. A first
/// line `name,label`-like without a known sample is taken for a heading.
Labels read_label_file(const std::filesystem::path& path, const std::vector<std::string>& names,
                       const std::vector<std::string>& class_names, const base::Limits& limits);

}  // namespace nibble::data
