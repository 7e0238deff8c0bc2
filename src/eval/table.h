#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::eval {

/// A table for stdout: the first column and those named in `left` flush left, the rest flush right, two spaces between.
class Table {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// `right[i]`: column i is flush right.
  std::string text(const std::vector<bool>& right, int indent = 2) const;
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "4.95 MB", "812 kB", "93 bytes": decimal units, three digits.
std::string bytes_text(int64_t bytes);
/// "12 ms", "6.1 s", "3 min 20 s".
std::string seconds_text(double seconds);
/// "1.24 M", "26,454".
std::string count_text(int64_t count);
/// `text` broken after spaces and commas so that no line is longer than `width` columns where that can be helped; lines
/// after the first begin with `indent` spaces. The first line has `used` columns already.
std::string wrapped(std::string_view text, size_t used, size_t indent, size_t width = 100);
/// UTF-8 text filled with spaces to `width` columns, one column a code point.
std::string display_width_padded(std::string_view text, size_t width, bool right);

}  // namespace nibble::eval
