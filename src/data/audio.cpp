#include "data/audio.h"

#include <charconv>
#include <set>

#include "base/error.h"
#include "io/json/json.h"

namespace nibble::data {
namespace {

constexpr std::string_view kKeys = "rate, frame, context, hop and run";
constexpr int64_t kMost = int64_t{1} << 32;  // samples: a day at 48 kHz

int64_t* member(Audio& audio, std::string_view key) {
  if (key == "rate") return &audio.rate;
  if (key == "frame") return &audio.frame;
  if (key == "context") return &audio.context;
  if (key == "hop") return &audio.hop;
  return nullptr;
}

/// What contradicts itself, or nothing.
std::string fault_of(const Audio& audio) {
  if (audio.frame == 0 && (audio.context != 0 || audio.hop != 0 || audio.run))
    return "context, hop and run need a frame";
  return {};
}

}  // namespace

Audio parse_audio(std::string_view text) {
  Audio audio;
  std::set<std::string_view> seen;
  const std::string place = "audio " + base::in_quotes(text);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (!seen.insert(key).second) base::fail_usage(place, "the key " + base::in_quotes(key) + " comes twice");
    if (key == "run") {
      if (value != "on" && value != "off") base::fail_usage(place, base::in_quotes(part) + " is neither on nor off");
      audio.run = value == "on";
      continue;
    }
    int64_t* number = member(audio, key);
    if (!number)
      base::fail_usage(place, "there is no key " + base::in_quotes(key), "the keys are " + std::string(kKeys));
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), *number);
    if (status != std::errc{} || end != value.data() + value.size() || *number < 0 || *number > kMost)
      base::fail_usage(place, base::in_quotes(part) + " is no whole number up to " + std::to_string(kMost));
  }
  if (const std::string fault = fault_of(audio); !fault.empty()) base::fail_usage(place, fault);
  return audio;
}

std::string to_text(const Audio& a) {
  std::string text;
  const auto add = [&](std::string_view key, const std::string& value) {
    text += (text.empty() ? "" : ",") + std::string(key) + "=" + value;
  };
  if (a.rate) add("rate", std::to_string(a.rate));
  if (a.frame) add("frame", std::to_string(a.frame));
  if (a.context) add("context", std::to_string(a.context));
  if (a.hop) add("hop", std::to_string(a.hop));
  if (a.run) add("run", "on");
  return text;
}

Audio audio_from_json(const io::Json& json, const std::string& place) {
  Audio audio;
  for (const auto& [key, value] : json.object(place)) {
    const std::string where = place + ": " + base::in_quotes(key);
    if (key == "run") {
      audio.run = value.boolean(where);
    } else if (int64_t* number = member(audio, key)) {
      *number = value.integer(where);
      if (*number < 0 || *number > kMost) base::fail_malformed(where, std::to_string(*number) + " is out of range");
    } else {
      base::fail_malformed(where, "there is no such key", "the keys are " + std::string(kKeys));
    }
  }
  if (const std::string fault = fault_of(audio); !fault.empty()) base::fail_malformed(place, fault);
  return audio;
}

io::Json to_json(const Audio& a) {
  io::Json::Object object;
  if (a.rate) object.emplace_back("rate", a.rate);
  if (a.frame) object.emplace_back("frame", a.frame);
  if (a.context) object.emplace_back("context", a.context);
  if (a.hop) object.emplace_back("hop", a.hop);
  if (a.run) object.emplace_back("run", true);
  return object;
}

}  // namespace nibble::data
