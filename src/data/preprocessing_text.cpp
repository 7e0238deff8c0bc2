// The short text of a Preprocessing, as people type it.
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "data/names.h"
#include "data/preprocessing.h"

namespace nibble::data {
namespace {

/// One `key=value` of the text, and what is said when it is wrong.
struct Setting {
  std::string_view key, value;

  [[noreturn]] void fail(const std::string& sentence, std::string advice = {}) const {
    base::fail_usage("preprocessing " + base::in_quotes(std::string(key) + "=" + std::string(value)), sentence,
                     std::move(advice));
  }
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

int64_t whole(std::string_view text, const Setting& setting) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || value < 0)
    setting.fail("is no whole number or WIDTHxHEIGHT");
  return value;
}

double number(std::string_view text, const Setting& setting) {
  if (const auto value = parse_number(text)) return *value;
  setting.fail("is no finite number or fraction");
}

Size size_of(const Setting& setting) {
  const auto sides = split(setting.value, 'x');
  if (sides.size() > 2) setting.fail("is no whole number or WIDTHxHEIGHT");
  const Size size = {whole(sides.front(), setting), whole(sides.back(), setting)};
  if (size.width == 0 || size.height == 0) setting.fail("is a size of zero");
  return size;
}

std::vector<double> list_of(const Setting& setting) {
  std::vector<double> list;
  for (const std::string_view part : split(setting.value, ':')) list.push_back(number(part, setting));
  return list;
}

template <typename E, size_t N>
E named(const Name<E> (&names)[N], const Setting& setting) {
  if (const auto found = find_name(names, setting.value)) return *found;
  setting.fail("must be one of " + list_names(names));
}

void set(Preprocessing& p, const Setting& s) {
  const bool is_pair = s.value.find('x') != std::string_view::npos;
  if (s.key == "orientation")
    p.orientation = named(kOrientations, s);
  else if (s.key == "order")
    p.order = named(kOrders, s);
  else if (s.key == "layout")
    p.layout = named(kLayouts, s);
  else if (s.key == "filter")
    p.filter = named(kFilters, s);
  else if (s.key == "resize" && is_pair)
    p.resize = size_of(s);
  else if (s.key == "resize")
    p.shorter_side = size_of(s).width;
  else if (s.key == "pad")
    p.pad = size_of(s);
  else if (s.key == "crop")
    p.crop = size_of(s);
  else if (s.key == "scale")
    p.scale = number(s.value, s);
  else if (s.key == "offset")
    p.offset = number(s.value, s);
  else if (s.key == "mean")
    p.mean = list_of(s);
  else if (s.key == "std")
    p.std = list_of(s);
  else if (s.key == "pad-value") {
    const int64_t value = whole(s.value, s);
    if (value > 255) s.fail("is no byte");
    p.pad_value = static_cast<uint8_t>(value);
  } else {
    s.fail("there is no key " + base::in_quotes(s.key), "the keys are " + std::string(kPreprocessingKeys));
  }
}

std::string text_of(double value) {
  // The fraction that people write, where it is exact.
  if (value == 1.0 / 255.0) return "1/255";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string text_of(const std::vector<double>& list) {
  std::string text;
  for (const double v : list) text += (text.empty() ? "" : ":") + text_of(v);
  return text;
}

std::string text_of(Size s) {
  return s.width == s.height ? std::to_string(s.width) : std::to_string(s.width) + "x" + std::to_string(s.height);
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  const char* const end = text.data() + text.size();
  double value = 0, divisor = 1;
  auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec == std::errc{} && parsed.ptr != end) {
    if (*parsed.ptr != '/') return std::nullopt;
    parsed = std::from_chars(parsed.ptr + 1, end, divisor);
  }
  if (parsed.ec != std::errc{} || parsed.ptr != end || divisor == 0) return std::nullopt;
  const double quotient = value / divisor;
  return std::isfinite(quotient) ? std::optional(quotient) : std::nullopt;
}

Preprocessing parse_preprocessing(std::string_view text, const base::Limits& limits) {
  Preprocessing p;
  if (text.empty()) return p;
  std::set<std::string_view> seen;
  for (const std::string_view part : split(text, ',')) {
    const size_t equals = part.find('=');
    const Setting setting = {part.substr(0, equals),
                             equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1)};
    if (equals == std::string_view::npos) setting.fail("has no value", "write KEY=VALUE,KEY=VALUE");
    if (!seen.insert(setting.key).second) setting.fail("the key comes twice");
    set(p, setting);
  }
  check(p, "preprocessing " + base::in_quotes(text), limits);
  return p;
}

std::string to_text(const Preprocessing& p) {
  std::string text;
  const auto add = [&](std::string_view key, const std::string& value) {
    text += (text.empty() ? "" : ",") + std::string(key) + "=" + value;
  };
  const Preprocessing plain;
  if (p.orientation != plain.orientation) add("orientation", name_in(kOrientations, p.orientation));
  add("order", name_in(kOrders, p.order));
  if (p.shorter_side != 0) add("resize", std::to_string(p.shorter_side));
  if (p.resize != Size{}) add("resize", std::to_string(p.resize.width) + "x" + std::to_string(p.resize.height));
  if (p.filter != plain.filter) add("filter", name_in(kFilters, p.filter));
  if (p.pad != Size{}) add("pad", text_of(p.pad));
  if (p.pad_value != plain.pad_value) add("pad-value", std::to_string(p.pad_value));
  if (p.crop != Size{}) add("crop", text_of(p.crop));
  if (p.scale != plain.scale) add("scale", text_of(p.scale));
  if (p.offset != plain.offset) add("offset", text_of(p.offset));
  if (!p.mean.empty()) add("mean", text_of(p.mean));
  if (!p.std.empty()) add("std", text_of(p.std));
  add("layout", name_in(kLayouts, p.layout));
  return text;
}

}  // namespace nibble::data
