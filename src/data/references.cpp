#include "data/references.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "data/members.h"
#include "data/source.h"
#include "io/npy/npy.h"
#include "io/zip/zip.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;

std::string_view base_name(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// A name without the extension of its file.
std::string stem_of(const std::string& name) {
  const size_t slash = name.rfind('/'), dot = name.rfind('.');
  return dot == std::string::npos || (slash != std::string::npos && dot < slash) ? name : name.substr(0, dot);
}

class ImageReferences final : public References {
 public:
  ImageReferences(std::shared_ptr<const Members> members, std::map<int64_t, size_t> member_of, std::string origin,
                  const base::Limits& limits)
      : members_(std::move(members)), member_of_(std::move(member_of)), limits_(limits) {
    for (const auto& [sample, member] : member_of_) samples_.push_back(sample);
    origin_ = std::move(origin);
  }
  Reference read(int64_t index) const override {
    const size_t member = member_of_.at(index);
    return io::decode_image(members_->read(member).bytes, members_->place(member), limits_);
  }

 private:
  std::shared_ptr<const Members> members_;
  std::map<int64_t, size_t> member_of_;
  base::Limits limits_;
};

class TextReferences final : public References {
 public:
  TextReferences(std::vector<std::string> texts, std::string origin) : texts_(std::move(texts)) {
    samples_.resize(texts_.size());
    std::iota(samples_.begin(), samples_.end(), int64_t{0});
    origin_ = std::move(origin);
  }
  Reference read(int64_t index) const override { return texts_.at(static_cast<size_t>(index)); }

 private:
  std::vector<std::string> texts_;
};

class ArrayReferences final : public References {
 public:
  ArrayReferences(tensor::Tensor array, std::string origin) : array_(std::move(array)) {
    samples_.resize(static_cast<size_t>(array_.shape()[0]));
    std::iota(samples_.begin(), samples_.end(), int64_t{0});
    origin_ = std::move(origin);
  }
  Reference read(int64_t index) const override {
    const size_t bytes = array_.bytes().size() / static_cast<size_t>(array_.shape()[0]);
    return tensor::Tensor(array_.dtype(), {array_.shape().begin() + 1, array_.shape().end()},
                          array_.bytes().subspan(static_cast<size_t>(index) * bytes, bytes),
                          std::make_shared<const tensor::Tensor>(array_));
  }

 private:
  tensor::Tensor array_;
};

/// Places of members by their names, and by their names without extension where `stems`.
std::map<std::string, size_t> places_of(const Members& members, bool stems) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < members.names().size(); ++i)
    places.emplace(stems ? stem_of(members.names()[i]) : members.names()[i], i);
  return places;
}

std::unique_ptr<References> renamed(const fs::path& data, const Source& source, const ReferenceOptions& options,
                                    const base::Limits& limits) {
  if (!source.holds_images()) base::fail_usage("--references", "FROM=TO is for folders and archives of images");
  const auto members = open_members(data, limits);
  const auto places = places_of(*members, false);
  std::map<int64_t, size_t> member_of;
  for (int64_t i = 0; i < source.size(); ++i) {
    std::string name = source.name(i);
    const size_t start = name.size() - base_name(name).size(), at = name.rfind(options.from);
    if (at == std::string::npos || at < start) continue;
    name.replace(at, options.from.size(), options.to);
    const auto found = places.find(name);
    if (found == places.end())
      base::fail_malformed(source.place(i), "its reference " + base::in_quotes(name) + " is not among the data");
    member_of.emplace(i, found->second);
  }
  if (member_of.empty())
    base::fail_malformed(members->whole(), "no file's name holds " + base::in_quotes(options.from),
                         "--references FROM=TO replaces FROM in a sample's name by TO");
  return std::make_unique<ImageReferences>(
      members, std::move(member_of),
      "references are the images called " + base::in_quotes(options.to) + " for " + base::in_quotes(options.from),
      limits);
}

std::unique_ptr<References> by_name(const fs::path& path, const Source& source, const base::Limits& limits) {
  const auto members = open_members(path, limits);
  const auto exact = places_of(*members, false), stems = places_of(*members, true);
  std::map<int64_t, size_t> member_of;
  for (int64_t i = 0; i < source.size(); ++i) {
    const std::string name = source.name(i);
    auto found = exact.find(name);
    if (found == exact.end()) {
      found = stems.find(stem_of(name));
      if (found == stems.end())
        base::fail_malformed(members->whole(), "has no reference for sample " + base::in_quotes(name));
    }
    member_of.emplace(i, found->second);
  }
  return std::make_unique<ImageReferences>(members, std::move(member_of), "reference images of " + members->whole(),
                                           limits);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::unique_ptr<References> texts_of(std::string_view text, const std::string& place, const Source& source,
                                     const base::Limits& limits) {
  if (text.find('\0') != std::string_view::npos)
    base::fail_unsupported(place, "is no file of texts", "give lines of name TAB text, an .npy, a folder or a zip");
  const char separator = text.find('\t') != std::string_view::npos ? '\t' : ',';
  const std::vector<std::string_view> lines = lines_of(text);
  std::map<std::string_view, std::string_view> by_names;
  for (const std::string_view line : lines) {
    base::check_limit(static_cast<int64_t>(line.size()), limits.string_bytes, "string-bytes", place,
                      "the length of a line");
    const size_t at = line.find(separator);
    if (at != std::string_view::npos && !by_names.emplace(line.substr(0, at), line.substr(at + 1)).second &&
        separator == '\t')
      base::fail_malformed(place, base::in_quotes(line.substr(0, at)) + " comes twice");
  }
  std::vector<std::string> texts;
  bool named = !by_names.empty();
  for (int64_t i = 0; i < source.size() && named; ++i) {
    const std::string name = source.name(i);
    auto found = by_names.find(name);
    if (found == by_names.end()) found = by_names.find(base_name(name));
    if (found != by_names.end())
      texts.emplace_back(found->second);
    else if (separator == '\t' || !texts.empty())
      base::fail_malformed(place, "has no line for sample " + base::in_quotes(name));
    else
      named = false;  // texts with commas in them, not names
  }
  if (!named) {
    if (static_cast<int64_t>(lines.size()) != source.size())
      base::fail_malformed(
          place, "has " + std::to_string(lines.size()) + " lines for " + std::to_string(source.size()) + " samples");
    texts.assign(lines.begin(), lines.end());
  }
  return std::make_unique<TextReferences>(std::move(texts), "reference texts of " + place);
}

std::unique_ptr<References> array_of(const fs::path& path, const std::shared_ptr<const base::MappedFile>& file,
                                     const Source& source, const base::Limits& limits) {
  tensor::Tensor array = io::read_npy(file->bytes(), file, path.string(), limits);
  if (array.rank() < 1 || array.elements() == 0 || array.shape()[0] != source.size())
    base::fail_malformed(path.string(), "has shape " + tensor::to_string(array.shape()) + " for " +
                                            std::to_string(source.size()) + " samples");
  return std::make_unique<ArrayReferences>(std::move(array), "references of " + path.string());
}

}  // namespace

ReferenceOptions parse_references(std::string_view text) {
  ReferenceOptions options;
  if (text.empty()) return options;
  std::error_code ignored;
  const size_t equals = text.find('=');
  if (equals != std::string_view::npos && !fs::exists(fs::path(text), ignored)) {
    options.kind = ReferenceOptions::From::kRenamed;
    options.from = text.substr(0, equals);
    options.to = text.substr(equals + 1);
    if (options.from.empty() || options.from == options.to)
      base::fail_usage("--references", "FROM=TO needs two different texts, the first not empty");
    return options;
  }
  options.kind = ReferenceOptions::From::kFile;
  options.path = text;
  return options;
}

std::unique_ptr<References> open_references(const fs::path& data, const Source& source, const ReferenceOptions& options,
                                            const base::Limits& limits) {
  NIBBLE_INVARIANT(options.kind != ReferenceOptions::From::kNone);
  if (options.kind == ReferenceOptions::From::kRenamed) return renamed(data, source, options, limits);
  std::error_code ignored;
  if (!fs::exists(options.path, ignored)) {
    const auto members = open_members(data, limits);
    const auto places = places_of(*members, false);
    const auto found = places.find(options.path.generic_string());
    if (found == places.end() || members->named_itself())
      base::fail_io(options.path.string(), "is neither a file nor one of " + members->whole());
    const Content content = members->read(found->second);
    return texts_of(base::as_text(content.bytes), members->place(found->second), source, limits);
  }
  if (fs::is_directory(options.path, ignored)) return by_name(options.path, source, limits);
  const auto file = base::MappedFile::open(options.path);
  if (io::is_npy(file->bytes())) return array_of(options.path, file, source, limits);
  if (io::is_zip(file->bytes())) return by_name(options.path, source, limits);
  return texts_of(base::as_text(file->bytes()), options.path.string(), source, limits);
}

}  // namespace nibble::data
