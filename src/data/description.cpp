#include "data/description.h"

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "io/json/json.h"

namespace nibble::data {
namespace {

constexpr const char* kMetadataKey = "nibble.data";

}  // namespace

DataDescription parse_description(std::string_view text, const std::string& place, const base::Limits& limits) {
  const io::Json json = io::parse_json(text, place, limits);
  DataDescription description;
  for (const auto& [key, value] : json.object(place)) {
    const std::string where = place + ": " + base::in_quotes(key);
    if (key == "preprocessing") {
      description.preprocessing = preprocessing_from_json(value, where);
      check(*description.preprocessing, where, limits);
    } else if (key == "audio") {
      description.audio = audio_from_json(value, where);
    } else if (key == "classes") {
      std::set<std::string> seen;
      for (const io::Json& name : value.array(where)) {
        description.classes.push_back(name.string(where));
        if (!seen.insert(description.classes.back()).second)
          base::fail_malformed(where, "class " + base::in_quotes(description.classes.back()) + " comes twice");
      }
    } else {
      base::fail_malformed(where, "there is no such key", "the keys are preprocessing, audio and classes");
    }
  }
  return description;
}

std::string to_text(const DataDescription& description) {
  io::Json::Object object;
  if (description.preprocessing) object.emplace_back("preprocessing", to_json(*description.preprocessing));
  if (description.audio) object.emplace_back("audio", to_json(*description.audio));
  if (!description.classes.empty()) {
    io::Json::Array names(description.classes.begin(), description.classes.end());
    object.emplace_back("classes", std::move(names));
  }
  return io::to_text(io::Json(std::move(object))) + "\n";
}

std::filesystem::path description_path(const std::filesystem::path& network) {
  std::filesystem::path path = network;
  return path.replace_extension(".data.json");
}

std::optional<DataDescription> find_description(const std::filesystem::path& network, const base::Limits& limits) {
  const std::filesystem::path path = description_path(network);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  const auto file = base::MappedFile::open(path);
  return parse_description(base::as_text(file->bytes()), path.string(), limits);
}

DataDescription description_of(const std::filesystem::path& network, const std::map<std::string, std::string>& metadata,
                               const base::Limits& limits) {
  if (auto beside = find_description(network, limits)) return *beside;
  const auto it = metadata.find(kMetadataKey);
  if (it == metadata.end()) return {};
  return parse_description(it->second, network.string() + ": metadata " + kMetadataKey, limits);
}

void keep_description(const DataDescription& description, std::map<std::string, std::string>& metadata) {
  if (!description.empty()) metadata[kMetadataKey] = to_text(description);
}

}  // namespace nibble::data
