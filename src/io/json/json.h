#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io {

/// A JSON value. Objects keep the order of their members. Integers are int64 and exact; every number written with a
/// point or an exponent is a double.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  ///< null
  Json(bool v) : value_(v) {}
  Json(int64_t v) : value_(v) {}
  Json(int v) : value_(int64_t{v}) {}
  Json(double v) : value_(v) {}
  Json(std::string v) : value_(std::move(v)) {}
  Json(const char* v) : value_(std::string(v)) {}
  Json(Array v) : value_(std::move(v)) {}
  Json(Object v) : value_(std::move(v)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* if_boolean() const { return std::get_if<bool>(&value_); }
  const int64_t* if_integer() const { return std::get_if<int64_t>(&value_); }
  const double* if_double() const { return std::get_if<double>(&value_); }
  const std::string* if_string() const { return std::get_if<std::string>(&value_); }
  const Array* if_array() const { return std::get_if<Array>(&value_); }
  const Object* if_object() const { return std::get_if<Object>(&value_); }
  Array* if_array() { return std::get_if<Array>(&value_); }
  Object* if_object() { return std::get_if<Object>(&value_); }

  /// The value as the type that the caller needs; throws Error(kMalformed) saying `place`, what was found and what was
  /// expected. `number` takes integers too.
  bool boolean(const std::string& place) const;
  int64_t integer(const std::string& place) const;
  double number(const std::string& place) const;
  const std::string& string(const std::string& place) const;
  const Array& array(const std::string& place) const;
  const Object& object(const std::string& place) const;

  /// The member of an object, or nullptr (also when this is no object). Walks the members one by one.
  const Json* find(std::string_view key) const;

  bool operator==(const Json&) const = default;

 private:
  friend struct JsonBuilder;
  std::string_view kind() const;
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

/// Parses UTF-8 JSON. Throws Error: kMalformed (syntax with its byte offset, invalid UTF-8, a key twice in one object,
/// integers outside int64, numbers outside double, nesting deeper than 64), kLimit (json-bytes, string-bytes).
Json parse_json(std::string_view text, const std::string& place, const base::Limits& limits);

/// The text of a value: doubles in the shortest form that reads back the same, `indent` spaces a level (0: one line).
/// Doubles must be finite (JSON has nothing else).
std::string to_text(const Json& value, int indent = 2);

}  // namespace nibble::io
