#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace nibble::io {
class Json;
}

namespace nibble::data {

/// How sound becomes a network's input. Samples are numbers in [-1, 1], several channels are averaged; nothing is
/// resampled.
struct Audio {
  int64_t rate = 0;   ///< samples a second that the files must have; 0: whatever they have, which is said
  int64_t frame = 0;  ///< every so many samples are one input of the network; 0: its input's length, or the whole file
  int64_t context = 0;  ///< so many samples before the frame come first; zeros at the beginning of the file
  int64_t hop = 0;      ///< from one frame to the next; 0: `frame`, so that frames touch
  /// Whether all frames of a file are one run of the network, its other inputs zeros: an initial state.
  bool run = false;
  bool operator==(const Audio&) const = default;
};

/// Parses `rate=16000,frame=512,context=64,hop=512,run=on`. Throws Error(kUsage) naming the key.
Audio parse_audio(std::string_view text);
std::string to_text(const Audio& audio);

/// The same as a JSON object; `run` is true or false.
Audio audio_from_json(const io::Json& json, const std::string& place);
io::Json to_json(const Audio& audio);

}  // namespace nibble::data
