#include "io/csv/csv.h"

#include <algorithm>

#include "base/error.h"

namespace nibble::io {

char separator_of(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.find('\t') != std::string_view::npos) return '\t';
  return line.find(';') != std::string_view::npos && line.find(',') == std::string_view::npos ? ';' : ',';
}

void read_csv(std::string_view text, char separator, const std::string& place, const base::Limits& limits,
              const std::function<void(int64_t, const std::vector<std::string>&)>& row) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string> fields;
  size_t width = 0;
  int64_t line = 1, all = 0;
  const auto where = [&] { return place + ": line " + std::to_string(line); };
  for (size_t at = 0; at < text.size();) {
    const int64_t first = line;
    fields.clear();
    bool more = true;
    while (more) {
      std::string field;
      if (at < text.size() && text[at] == '"') {
        for (++at;; ++at) {
          if (at == text.size())
            base::fail_malformed(place + ": line " + std::to_string(first), "a quote is opened and not closed");
          if (text[at] == '"') {
            if (at + 1 == text.size() || text[at + 1] != '"') break;
            ++at;
          }
          line += text[at] == '\n';
          field += text[at];
        }
        ++at;
        if (at < text.size() && text[at] == '\r') ++at;
        if (at < text.size() && text[at] != separator && text[at] != '\n')
          base::fail_malformed(where(), "text follows a closing quote");
      } else {
        const char ends[] = {separator, '\n', '"', '\0'};
        const size_t end = std::min(text.find_first_of(std::string_view(ends, 4), at), text.size());
        if (end < text.size() && text[end] == '"') base::fail_malformed(where(), "a quote stands inside a field");
        if (end < text.size() && text[end] == '\0') base::fail_malformed(where(), "a NUL byte: this is no text");
        field = text.substr(at, end - at);
        if ((end == text.size() || text[end] == '\n') && field.ends_with('\r')) field.pop_back();
        at = end;
      }
      base::check_limit(static_cast<int64_t>(field.size()), limits.string_bytes, "string-bytes", where(),
                        "the length of a field");
      base::check_limit(++all, limits.tensor_elements, "tensor-elements", place, "its number of fields");
      fields.push_back(std::move(field));
      more = at < text.size() && text[at] == separator;
      if (at < text.size()) ++at;
    }
    ++line;
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (width == 0) width = fields.size();
    if (fields.size() != width)
      base::fail_malformed(
          place + ": line " + std::to_string(first),
          "has " + std::to_string(fields.size()) + " fields, the first one has " + std::to_string(width));
    row(first, fields);
  }
}

}  // namespace nibble::io
