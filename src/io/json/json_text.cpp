#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "io/json/json.h"

namespace nibble::io {
namespace {

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_double(std::string& out, double value) {
  NIBBLE_INVARIANT(std::isfinite(value));
  char digits[32];
  const auto [end, status] = std::to_chars(digits, digits + sizeof digits, value);
  std::string_view text(digits, static_cast<size_t>(end - digits));
  out += text;
  // A double stays one when it is read again.
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append(std::string& out, const Json& value, int indent, int depth);

/// `count` items, written by `item(i)`, between brackets; on lines of their own where `indent` asks for it.
template <typename Item>
void append_items(std::string& out, char left, char right, size_t count, int indent, int depth, const Item& item) {
  out += left;
  for (size_t i = 0; i < count; ++i) {
    if (i) out += ',';
    if (indent) out += '\n' + std::string(static_cast<size_t>(indent * (depth + 1)), ' ');
    item(i);
  }
  if (indent && count) out += '\n' + std::string(static_cast<size_t>(indent * depth), ' ');
  out += right;
}

bool is_plain(const Json& value) { return !value.if_array() && !value.if_object(); }

void append(std::string& out, const Json& value, int indent, int depth) {
  if (value.is_null()) out += "null";
  if (const bool* v = value.if_boolean()) out += *v ? "true" : "false";
  if (const int64_t* v = value.if_integer()) out += std::to_string(*v);
  if (const double* v = value.if_double()) append_double(out, *v);
  if (const std::string* v = value.if_string()) append_string(out, *v);
  if (const Json::Array* v = value.if_array()) {
    bool plain = true;
    for (const Json& element : *v) plain = plain && is_plain(element);
    // A list of numbers reads better on one line.
    append_items(out, '[', ']', v->size(), plain ? 0 : indent, depth,
                 [&](size_t i) { append(out, (*v)[i], indent, depth + 1); });
  }
  if (const Json::Object* v = value.if_object()) {
    append_items(out, '{', '}', v->size(), indent, depth, [&](size_t i) {
      append_string(out, (*v)[i].first);
      out += indent ? ": " : ":";
      append(out, (*v)[i].second, indent, depth + 1);
    });
  }
}

}  // namespace

std::string to_text(const Json& value, int indent) {
  std::string out;
  append(out, value, indent, 0);
  return out;
}

}  // namespace nibble::io
