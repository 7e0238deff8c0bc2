#include "io/json/json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/error.h"

namespace nibble::io {
namespace {

constexpr size_t kMostDepth = 64;

}  // namespace

/// Receives nlohmann's parse events and builds our value; returning false ends the parse.
struct JsonBuilder {
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  const std::string& place;
  const base::Limits& limits;
  Json root;
  std::vector<Json*> open;  ///< containers from the root to the current one; they do not move while open
  std::vector<std::unordered_set<std::string>> keys;  ///< of the open objects
  std::string key_;

  Json* add(Json value) {
    if (open.empty()) {
      root = std::move(value);
      return &root;
    }
    if (auto* array = open.back()->if_array()) return &array->emplace_back(std::move(value));
    return &open.back()->if_object()->emplace_back(std::move(key_), std::move(value)).second;
  }
  void deeper(Json* container) {
    if (open.size() == kMostDepth)
      base::fail_malformed(place, "the JSON nests deeper than " + std::to_string(kMostDepth) + " levels");
    open.push_back(container);
  }
  void check_string(const std::string& text) const {
    base::check_limit(static_cast<int64_t>(text.size()), limits.string_bytes, "string-bytes", place,
                      "the length of a JSON string");
  }

  bool null() { return add(Json()), true; }
  bool boolean(bool v) { return add(Json(v)), true; }
  bool number_integer(number_integer_t v) { return add(Json(int64_t{v})), true; }
  bool number_unsigned(number_unsigned_t v) {
    if (v > static_cast<uint64_t>(INT64_MAX))
      base::fail_malformed(place, "the JSON holds an integer outside 64 bits: " + std::to_string(v));
    return add(Json(static_cast<int64_t>(v))), true;
  }
  bool number_float(number_float_t v, const string_t& text) {
    if (text.find_first_of(".eE") == string_t::npos)
      base::fail_malformed(place, "the JSON holds an integer outside 64 bits: " + base::printable(text));
    return add(Json(v)), true;
  }
  bool string(string_t& v) {
    check_string(v);
    return add(Json(std::move(v))), true;
  }
  bool binary(binary_t&) { return false; }
  bool start_object(size_t) {
    deeper(add(Json(Json::Object())));
    keys.emplace_back();
    return true;
  }
  bool key(string_t& v) {
    check_string(v);
    if (!keys.back().insert(v).second)
      base::fail_malformed(place, "the JSON has key " + base::in_quotes(v) + " twice in one object");
    key_ = std::move(v);
    return true;
  }
  bool end_object() {
    keys.pop_back();
    open.pop_back();
    return true;
  }
  bool start_array(size_t) { return deeper(add(Json(Json::Array()))), true; }
  bool end_array() { return open.pop_back(), true; }
  bool parse_error(size_t offset, const std::string&, const nlohmann::detail::exception& e) {
    // nlohmann's text begins with "[json.exception.parse_error.101] parse error at line 1, column 2: ".
    std::string_view said = e.what();
    if (const size_t colon = said.find(": "); colon != std::string_view::npos) said.remove_prefix(colon + 2);
    base::fail_malformed(place,
                         "the JSON is malformed at byte " + std::to_string(offset) + ": " + base::printable(said, 160));
  }
};

Json parse_json(std::string_view text, const std::string& place, const base::Limits& limits) {
  base::check_limit(static_cast<int64_t>(text.size()), limits.json_bytes, "json-bytes", place,
                    "the length of the JSON");
  JsonBuilder builder{place, limits, {}, {}, {}, {}};
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
    base::fail_malformed(place, "the JSON is malformed");
  return std::move(builder.root);
}

std::string_view Json::kind() const {
  constexpr std::string_view kinds[] = {"null",     "a truth value", "an integer", "a number",
                                        "a string", "an array",      "an object"};
  return kinds[value_.index()];
}

namespace {

[[noreturn]] void wrong_kind(const std::string& place, std::string_view found, std::string_view expected) {
  base::fail_malformed(place, "is " + std::string(found) + ", " + std::string(expected) + " was expected");
}

}  // namespace

bool Json::boolean(const std::string& place) const {
  if (const bool* v = if_boolean()) return *v;
  wrong_kind(place, kind(), "true or false");
}
int64_t Json::integer(const std::string& place) const {
  if (const int64_t* v = if_integer()) return *v;
  wrong_kind(place, kind(), "an integer");
}
double Json::number(const std::string& place) const {
  if (const double* v = if_double()) return *v;
  if (const int64_t* v = if_integer()) return static_cast<double>(*v);
  wrong_kind(place, kind(), "a number");
}
const std::string& Json::string(const std::string& place) const {
  if (const std::string* v = if_string()) return *v;
  wrong_kind(place, kind(), "a string");
}
const Json::Array& Json::array(const std::string& place) const {
  if (const Array* v = if_array()) return *v;
  wrong_kind(place, kind(), "an array");
}
const Json::Object& Json::object(const std::string& place) const {
  if (const Object* v = if_object()) return *v;
  wrong_kind(place, kind(), "an object");
}

const Json* Json::find(std::string_view key) const {
  if (const Object* members = if_object())
    for (const Member& member : *members)
      if (member.first == key) return &member.second;
  return nullptr;
}

}  // namespace nibble::io
