#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace nibble::data {

class Source;

/// Where the class of each sample is to come from.
struct LabelOptions {
  enum class From {
    kDetect,   ///< the file's own labels, else class folders, else numbers at the front of names, else none; said
    kNone,     ///< no labels, whatever the data offers
    kFolders,  ///< the top folder of each sample's name is its class
    kPattern,  ///< the first group of a regular expression over the sample's file name (without folders)
    kColumn,   ///< a column of a table
    kFile,     ///< a file: .npy or idx of integers, "name,label" lines, or one label a line in the samples' order
  };
  From from = From::kDetect;
  std::string pattern;  ///< ECMAScript, exactly one group
  std::filesystem::path file;
  std::string column;  ///< its name or its number from 1
};

/// The regular expression behind the shorthand `prefix-number`: the leading digits of the file name.
inline constexpr std::string_view kPrefixNumber = "^([0-9]+)";

/// Parses what --labels takes: `auto`, `none`, `folders`, `prefix-number`, `pattern:REGEX`, `column:NAME`, or a file's
/// path. Throws Error(kUsage) for a pattern that does not compile or has not exactly one group.
LabelOptions parse_labels(std::string_view text);

/// A label for every sample, or none at all, and the sentence that says how they were found.
struct Labels {
  std::vector<int64_t> of_sample;  ///< empty: no labels
  std::string origin;              ///< "labels from 10 class folders, airplane = 0 ... truck = 9"
};

/// Labels of all samples of `source`. Labels are whole numbers from 0; words are looked up in `class_names`. Folders
/// and words: the index in `class_names` where all of them are there, else the number itself where all of them are
/// numbers, else (folders only) the place in their sorted order. `classes` (0: unknown) is the number of the network's
/// outputs: larger labels are an Error, except where labels were only detected from names, which then count as none.
Labels find_labels(const Source& source, const LabelOptions& options, const std::vector<std::string>& class_names,
                   int64_t classes, const base::Limits& limits);

}  // namespace nibble::data
