#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "data/audio.h"
#include "data/preprocessing.h"

namespace nibble::data {

/// What `NAME.data.json` beside a network NAME.onnx (or its metadata under key `nibble.data`) says about its data:
///
///     {
///       "preprocessing": {"order": "rgb", "resize": 256, "crop": 224, "scale": "1/255", "mean": [0.485, 0.456, 0.406],
///                         "std": [0.229, 0.224, 0.225], "layout": "nchw"},
///       "audio": {"rate": 16000, "frame": 512, "context": 64, "run": true},
///       "classes": ["tench", "goldfish"]
///     }
///
/// All keys may be absent; an unknown key is an Error naming it. Keys of "preprocessing" as in parse_preprocessing;
/// sizes are N or [width, height], numbers may be strings with a fraction.
struct DataDescription {
  std::optional<Preprocessing> preprocessing;
  std::optional<Audio> audio;
  std::vector<std::string> classes;  ///< name of each class, in the order of the network's outputs; may be empty
  bool empty() const { return *this == DataDescription{}; }
  bool operator==(const DataDescription&) const = default;
};

/// Throws Error(kMalformed), or kUsage for values that contradict each other.
DataDescription parse_description(std::string_view json, const std::string& place, const base::Limits& limits);
/// The text of the file, ending in a newline; parse_description reads it back to an equal value.
std::string to_text(const DataDescription& description);

/// NAME.data.json for NAME.onnx, whether it exists or not.
std::filesystem::path description_path(const std::filesystem::path& network);
/// The description beside the network, if there is one.
std::optional<DataDescription> find_description(const std::filesystem::path& network, const base::Limits& limits);

/// The description that goes with a network: the one beside it, else the one kept in its metadata, else an empty one.
DataDescription description_of(const std::filesystem::path& network, const std::map<std::string, std::string>& metadata,
                               const base::Limits& limits);
/// Keeps it in a network's metadata, where description_of finds it. An empty one is not kept.
void keep_description(const DataDescription& description, std::map<std::string, std::string>& metadata);

}  // namespace nibble::data
