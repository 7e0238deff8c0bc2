#include "data/label_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/idx/idx.h"
#include "io/npy/npy.h"
#include "io/zip/gunzip.h"

namespace nibble::data {
namespace {

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

struct Line {
  std::string_view name, label;  ///< name is empty for a label alone
};

std::vector<Line> split_lines(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (trimmed(line).empty()) continue;
    const size_t separator = line.find_last_of(",\t");
    if (separator == std::string_view::npos)
      lines.push_back({{}, trimmed(line)});
    else
      lines.push_back({trimmed(line.substr(0, separator)), trimmed(line.substr(separator + 1))});
  }
  return lines;
}

/// The label word of every sample, by name (with folders, or without where that is unique).
std::vector<std::string> words_by_name(const std::vector<Line>& lines, const std::vector<std::string>& names,
                                       const std::string& place) {
  std::map<std::string_view, std::string_view> label_of_name;
  for (const Line& line : lines)
    if (!label_of_name.emplace(line.name, line.label).second)
      base::fail_malformed(place, base::in_quotes(line.name) + " comes twice");
  std::vector<std::string> words;
  for (const std::string& name : names) {
    auto found = label_of_name.find(name);
    if (found == label_of_name.end()) found = label_of_name.find(std::string_view(name).substr(name.rfind('/') + 1));
    if (found == label_of_name.end()) base::fail_malformed(place, "has no line for sample " + base::in_quotes(name));
    words.emplace_back(found->second);
  }
  return words;
}

std::vector<std::string> words_of_text(std::string_view text, const std::vector<std::string>& names,
                                       const std::string& place) {
  if (text.find('\0') != std::string_view::npos)
    base::fail_unsupported(place, "is no file of labels",
                           "give .npy, idx, or text lines of name,label or of labels alone");
  std::vector<Line> lines = split_lines(text);
  if (lines.empty()) base::fail_malformed(place, "holds no labels");
  const bool with_names = !lines.back().name.empty();
  for (const Line& line : lines)
    if (line.name.empty() == with_names) base::fail_malformed(place, "mixes name,label lines and labels alone");
  if (with_names) {
    const auto is_sample = [&](std::string_view name) {
      return std::any_of(names.begin(), names.end(), [&](const std::string& n) {
        return n == name || std::string_view(n).substr(n.rfind('/') + 1) == name;
      });
    };
    if (lines.size() > 1 && !whole_number(lines[0].label) && !is_sample(lines[0].name)) lines.erase(lines.begin());
    return words_by_name(lines, names, place);
  }
  std::vector<std::string> words;
  for (const Line& line : lines) words.emplace_back(line.label);
  if (words.size() != names.size())
    base::fail_malformed(
        place, "has " + std::to_string(words.size()) + " labels for " + std::to_string(names.size()) + " samples");
  return words;
}

}  // namespace

WordMeaning meaning_of(const std::vector<std::string>& words, const std::vector<std::string>& class_names,
                       bool may_sort, const std::string& place) {
  const std::set<std::string_view> known(class_names.begin(), class_names.end());
  const auto is_known = [&](const std::string& w) { return known.contains(w); };
  const auto is_number = [](const std::string& w) { return whole_number(w).has_value(); };
  if (!known.empty() && std::all_of(words.begin(), words.end(), is_known)) return WordMeaning::kClassName;
  if (std::all_of(words.begin(), words.end(), is_number)) return WordMeaning::kNumber;
  if (may_sort) return WordMeaning::kSortedPlace;
  const auto bad =
      std::find_if_not(words.begin(), words.end(), [&](const std::string& w) { return is_number(w) || is_known(w); });
  base::fail_malformed(place,
                       bad == words.end()
                           ? std::string("labels mix class names and numbers")
                           : "label " + base::in_quotes(*bad) + " is neither a whole number nor a class name",
                       known.empty() ? "class names are given by \"classes\" in NAME.data.json" : "");
}

int64_t label_of(std::string_view word, WordMeaning meaning, const std::vector<std::string>& class_names,
                 const std::vector<std::string>& sorted) {
  if (meaning == WordMeaning::kNumber) return whole_number(word).value();
  if (meaning == WordMeaning::kSortedPlace)
    return std::lower_bound(sorted.begin(), sorted.end(), word) - sorted.begin();
  return std::find(class_names.begin(), class_names.end(), word) - class_names.begin();
}

Labels read_label_file(const std::filesystem::path& path, const std::vector<std::string>& names,
                       const std::vector<std::string>& class_names, const base::Limits& limits) {
  const std::string place = path.string();
  const auto file = base::MappedFile::open(path);
  const base::Bytes bytes = file->bytes();
  Labels labels;
  if (io::is_npy(bytes) || io::is_idx(bytes) || io::is_gzip(bytes)) {
    const tensor::Tensor tensor =
        io::is_npy(bytes) ? io::read_npy(bytes, file, place, limits) : io::read_idx(bytes, file, place, limits);
    if (tensor.elements() != static_cast<int64_t>(names.size()))
      base::fail_malformed(place, "has shape " + tensor::to_string(tensor.shape()) + " for " +
                                      std::to_string(names.size()) + " samples");
    labels.of_sample = integers_of(tensor, place);
  } else {
    const std::vector<std::string> words = words_of_text(base::as_text(bytes), names, place);
    const std::set<std::string> distinct(words.begin(), words.end());
    const WordMeaning meaning = meaning_of({distinct.begin(), distinct.end()}, class_names, false, place);
    for (const std::string& word : words) labels.of_sample.push_back(label_of(word, meaning, class_names, {}));
  }
  labels.origin = "labels from " + place;
  return labels;
}

}  // namespace nibble::data
