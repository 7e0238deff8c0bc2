#include "data/labels.h"

#include <algorithm>
#include <charconv>
#include <regex>
#include <set>

#include "base/error.h"
#include "data/label_file.h"
#include "data/source.h"

namespace nibble::data {
namespace {

std::string base_name(const std::string& name) { return name.substr(name.rfind('/') + 1); }

/// The folder at the top of a sample's name, or nothing.
std::string_view top_folder(std::string_view name) {
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

/// Archives often hold everything in one folder; the classes are then one level further down.
size_t shared_prefix(const std::vector<std::string>& names) {
  size_t length = 0;
  while (true) {
    const std::string_view folder = top_folder(std::string_view(names[0]).substr(length));
    if (folder.empty()) return length;
    const std::string prefix = names[0].substr(0, length + folder.size() + 1);
    // The last folder level is never shared away: one class alone is a class.
    for (const std::string& name : names)
      if (!name.starts_with(prefix) || top_folder(std::string_view(name).substr(prefix.size())).empty()) return length;
    length = prefix.size();
  }
}

std::vector<std::string> names_of(const Source& source) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < source.size(); ++i) names.push_back(source.name(i));
  return names;
}

Labels from_folders(const std::vector<std::string>& names, const std::vector<std::string>& class_names,
                    const std::string& place) {
  const size_t prefix = shared_prefix(names);
  std::vector<std::string> folder_of;
  std::set<std::string> folders;
  for (const std::string& name : names) {
    folder_of.emplace_back(top_folder(std::string_view(name).substr(prefix)));
    if (folder_of.back().empty())
      base::fail_malformed(place, "labels come from folders, but " + base::in_quotes(name) + " lies in none");
    folders.insert(folder_of.back());
  }
  const std::vector<std::string> words(folders.begin(), folders.end());
  const WordMeaning meaning = meaning_of(words, class_names, true, place);
  Labels labels;
  for (const std::string& folder : folder_of) labels.of_sample.push_back(label_of(folder, meaning, class_names, words));
  const std::string& first = words.front();
  const std::string& last = words.back();
  labels.origin = "labels from " + std::to_string(words.size()) + " class folders, " + base::printable(first) + " = " +
                  std::to_string(label_of(first, meaning, class_names, words));
  if (words.size() > 1)
    labels.origin +=
        " ... " + base::printable(last) + " = " + std::to_string(label_of(last, meaning, class_names, words));
  return labels;
}

Labels from_pattern(const std::vector<std::string>& names, const std::string& pattern,
                    const std::vector<std::string>& class_names, const base::Limits& limits, const std::string& place) {
  const std::regex expression(pattern);
  std::vector<std::string> word_of;
  for (const std::string& name : names) {
    const std::string file = base_name(name);
    base::check_limit(static_cast<int64_t>(file.size()), limits.name_bytes, "name-bytes", place,
                      "the length of a name");
    std::smatch match;
    bool found = false;
    try {
      found = std::regex_search(file, match, expression) && match[1].matched;
    } catch (const std::regex_error& e) {
      base::fail_limit(place, "the label pattern " + base::in_quotes(pattern) + " is too costly for " +
                                  base::in_quotes(file) + ": " + base::printable(e.what()));
    }
    if (!found)
      base::fail_malformed(place,
                           "the label pattern " + base::in_quotes(pattern) + " does not match " + base::in_quotes(file),
                           "give another --labels");
    word_of.push_back(match[1].str());
  }
  const std::set<std::string> words(word_of.begin(), word_of.end());
  const WordMeaning meaning = meaning_of({words.begin(), words.end()}, class_names, false, place);
  Labels labels;
  for (const std::string& word : word_of) labels.of_sample.push_back(label_of(word, meaning, class_names, {}));
  labels.origin = pattern == kPrefixNumber ? "labels from the numbers at the front of the file names"
                                           : "labels from the pattern " + base::in_quotes(pattern) + " over file names";
  labels.origin += ", " + base::in_quotes(base_name(names[0])) + " = " + std::to_string(labels.of_sample[0]);
  return labels;
}

/// True when all names look as if they began with a class number: digits, then '_' or '-', then a letter somewhere or
/// numbers that come again. Names that only count ("000.jpg", "img_3.png") do not.
bool look_like_prefix_numbers(const std::vector<std::string>& names) {
  std::set<std::string> numbers;
  bool all_have_letters = true;
  for (const std::string& name : names) {
    const std::string file = base_name(name);
    const size_t digits = file.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string::npos || digits > 9 || (file[digits] != '_' && file[digits] != '-'))
      return false;
    const std::string stem = file.substr(0, file.rfind('.'));
    const auto is_letter = [](unsigned char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
    };
    all_have_letters = all_have_letters && std::any_of(stem.begin(), stem.end(), is_letter);
    numbers.insert(file.substr(0, digits));
  }
  return all_have_letters || numbers.size() < names.size();
}

Labels from_words(const Source& source, const std::vector<std::string>& class_names, const std::string& place) {
  const std::vector<std::string> words = source.label_words();
  const std::set<std::string> distinct(words.begin(), words.end());
  const std::vector<std::string> sorted(distinct.begin(), distinct.end());
  // Words are numbered in their sorted order; numbers with a fraction are measurements, not classes.
  const bool any_number = std::any_of(sorted.begin(), sorted.end(), [](const std::string& w) {
    return !w.empty() && w.find_first_not_of("0123456789.+-eE") == std::string::npos;
  });
  const WordMeaning meaning = meaning_of(sorted, class_names, !any_number, place);
  Labels labels;
  for (const std::string& word : words) labels.of_sample.push_back(label_of(word, meaning, class_names, sorted));
  labels.origin =
      source.label_words_origin() + ", " + base::in_quotes(words[0]) + " = " + std::to_string(labels.of_sample[0]);
  return labels;
}

bool all_below(const std::vector<int64_t>& labels, int64_t classes) {
  return classes == 0 || std::all_of(labels.begin(), labels.end(), [&](int64_t l) { return l < classes; });
}

Labels detect(const Source& source, const std::vector<std::string>& class_names, int64_t classes,
              const base::Limits& limits, const std::string& place) {
  if (auto own = source.own_labels(); !own.empty()) return {std::move(own), source.own_labels_origin()};
  if (!source.label_words().empty()) return from_words(source, class_names, place);
  const std::vector<std::string> names = names_of(source);
  const bool in_folders =
      std::all_of(names.begin(), names.end(), [](const std::string& n) { return n.find('/') != n.npos; });
  if (in_folders) {
    const size_t prefix = shared_prefix(names);
    std::set<std::string_view> folders;
    for (const std::string& n : names) folders.insert(top_folder(std::string_view(n).substr(prefix)));
    if (folders.size() > 1 && !folders.contains("")) {
      Labels labels = from_folders(names, class_names, place);
      if (all_below(labels.of_sample, classes)) return labels;
      return {{}, "no labels: there are more folders than the network has classes (" + std::to_string(classes) + ")"};
    }
  }
  if (source.holds_images() && look_like_prefix_numbers(names)) {
    Labels labels = from_pattern(names, std::string(kPrefixNumber), {}, limits, place);
    if (all_below(labels.of_sample, classes)) return labels;
    return {{},
            "no labels: the numbers at the front of the names exceed the network's " + std::to_string(classes) +
                " classes"};
  }
  return {{}, "no labels: the data names no classes (--labels says where they are)"};
}

}  // namespace

LabelOptions parse_labels(std::string_view text) {
  LabelOptions options;
  constexpr std::string_view kPatternPrefix = "pattern:", kColumnPrefix = "column:";
  if (text == "auto") return options;
  if (text == "none")
    options.from = LabelOptions::From::kNone;
  else if (text == "folders")
    options.from = LabelOptions::From::kFolders;
  else if (text.starts_with(kColumnPrefix)) {
    options.from = LabelOptions::From::kColumn;
    options.column = text.substr(kColumnPrefix.size());
    if (options.column.empty()) base::fail_usage("--labels column:", "needs the name or the number of a column");
  } else if (text == "prefix-number" || text.starts_with(kPatternPrefix)) {
    options.from = LabelOptions::From::kPattern;
    options.pattern = text == "prefix-number" ? kPrefixNumber : text.substr(kPatternPrefix.size());
    const std::string place = "--labels " + base::in_quotes(text);
    try {
      if (std::regex(options.pattern).mark_count() != 1)
        base::fail_usage(place, "the pattern must have exactly one group: (...)");
    } catch (const std::regex_error& e) {
      base::fail_usage(place, "the pattern is no regular expression: " + base::printable(e.what()));
    }
  } else {
    if (text.empty())
      base::fail_usage("--labels", "is empty",
                       "give auto, none, folders, prefix-number, pattern:REGEX, column:NAME or a file");
    options.from = LabelOptions::From::kFile;
    options.file = text;
  }
  return options;
}

Labels find_labels(const Source& source, const LabelOptions& options, const std::vector<std::string>& class_names,
                   int64_t classes, const base::Limits& limits) {
  const std::string place = source.what();
  Labels labels;
  switch (options.from) {
    case LabelOptions::From::kDetect:
      labels = detect(source, class_names, classes, limits, place);
      break;
    case LabelOptions::From::kNone:
      return {{}, "no labels, as asked"};
    case LabelOptions::From::kFolders:
      labels = from_folders(names_of(source), class_names, place);
      break;
    case LabelOptions::From::kPattern:
      labels = from_pattern(names_of(source), options.pattern, class_names, limits, place);
      break;
    case LabelOptions::From::kColumn:
      if (source.label_words().empty())
        base::fail_usage("--labels column:" + options.column, place + " is no table, or has no such column");
      labels = from_words(source, class_names, place);
      break;
    case LabelOptions::From::kFile:
      labels = read_label_file(options.file, names_of(source), class_names, limits);
      break;
  }
  for (size_t i = 0; i < labels.of_sample.size(); ++i) {
    const int64_t label = labels.of_sample[i];
    if (label >= 0 && (classes == 0 || label < classes)) continue;
    base::fail_malformed(source.place(static_cast<int64_t>(i)),
                         "its label is " + std::to_string(label) +
                             (label < 0 ? "" : ", but the network has " + std::to_string(classes) + " classes"),
                         "--labels says where labels come from; --labels none leaves them out");
  }
  return labels;
}

}  // namespace nibble::data
