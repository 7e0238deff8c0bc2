// A Preprocessing as a JSON object: the keys of its text, with sizes and lists as arrays.
#include "base/error.h"
#include "data/names.h"
#include "data/preprocessing.h"
#include "io/json/json.h"

namespace nibble::data {
namespace {

using io::Json;

/// A number, or a string with a fraction ("1/255").
double number_of(const Json& json, const std::string& place) {
  const std::string* text = json.if_string();
  if (!text) return json.number(place);
  if (const auto value = parse_number(*text)) return *value;
  base::fail_malformed(place, base::in_quotes(*text) + " is no finite number or fraction");
}

std::vector<double> list_of(const Json& json, const std::string& place) {
  if (!json.if_array()) return {number_of(json, place)};
  std::vector<double> list;
  for (const Json& element : json.array(place)) list.push_back(number_of(element, place));
  return list;
}

/// [width, height], or N for a square.
Size size_of(const Json& json, const std::string& place) {
  Size size;
  if (json.if_array()) {
    if (json.array(place).size() != 2) base::fail_malformed(place, "is no N or [width, height]");
    size = {json.array(place)[0].integer(place), json.array(place)[1].integer(place)};
  } else {
    size = {json.integer(place), json.integer(place)};
  }
  if (size.width < 1 || size.height < 1) base::fail_malformed(place, "a size is not positive");
  return size;
}

template <typename E, size_t N>
E named(const Name<E> (&names)[N], const Json& json, const std::string& place) {
  const std::string& text = json.string(place);
  if (const auto found = find_name(names, text)) return *found;
  base::fail_malformed(place, base::in_quotes(text) + " must be one of " + list_names(names));
}

Json json_of(Size size) {
  if (size.width == size.height) return Json(size.width);
  return Json(Json::Array{Json(size.width), Json(size.height)});
}

Json json_of(const std::vector<double>& list) { return Json(Json::Array(list.begin(), list.end())); }

/// 1/255 as people know it; its digits would hide it.
Json json_of(double value) { return value == 1.0 / 255.0 ? Json("1/255") : Json(value); }

}  // namespace

Preprocessing preprocessing_from_json(const Json& json, const std::string& place) {
  Preprocessing p;
  for (const auto& [key, value] : json.object(place)) {
    const std::string where = place + ": " + base::in_quotes(key);
    if (key == "orientation")
      p.orientation = named(kOrientations, value, where);
    else if (key == "order")
      p.order = named(kOrders, value, where);
    else if (key == "layout")
      p.layout = named(kLayouts, value, where);
    else if (key == "filter")
      p.filter = named(kFilters, value, where);
    else if (key == "resize" && value.if_array())
      p.resize = size_of(value, where);
    else if (key == "resize")
      p.shorter_side = size_of(value, where).width;
    else if (key == "pad")
      p.pad = size_of(value, where);
    else if (key == "crop")
      p.crop = size_of(value, where);
    else if (key == "scale")
      p.scale = number_of(value, where);
    else if (key == "offset")
      p.offset = number_of(value, where);
    else if (key == "mean")
      p.mean = list_of(value, where);
    else if (key == "std")
      p.std = list_of(value, where);
    else if (key == "pad-value") {
      const int64_t byte = value.integer(where);
      if (byte < 0 || byte > 255) base::fail_malformed(where, std::to_string(byte) + " is no byte");
      p.pad_value = static_cast<uint8_t>(byte);
    } else {
      base::fail_malformed(where, "there is no such key", "the keys are " + std::string(kPreprocessingKeys));
    }
  }
  return p;
}

Json to_json(const Preprocessing& p) {
  const Preprocessing plain;
  Json::Object object;
  const auto add = [&](const char* key, Json value) { object.emplace_back(key, std::move(value)); };
  if (p.orientation != plain.orientation) add("orientation", name_in(kOrientations, p.orientation));
  add("order", name_in(kOrders, p.order));
  if (p.shorter_side != 0) add("resize", Json(p.shorter_side));
  if (p.resize != Size{}) add("resize", Json(Json::Array{Json(p.resize.width), Json(p.resize.height)}));
  if (p.filter != plain.filter) add("filter", name_in(kFilters, p.filter));
  if (p.pad != Size{}) add("pad", json_of(p.pad));
  if (p.pad_value != plain.pad_value) add("pad-value", Json(int64_t{p.pad_value}));
  if (p.crop != Size{}) add("crop", json_of(p.crop));
  if (p.scale != plain.scale) add("scale", json_of(p.scale));
  if (p.offset != plain.offset) add("offset", Json(p.offset));
  if (!p.mean.empty()) add("mean", json_of(p.mean));
  if (!p.std.empty()) add("std", json_of(p.std));
  add("layout", name_in(kLayouts, p.layout));
  return Json(std::move(object));
}

}  // namespace nibble::data
