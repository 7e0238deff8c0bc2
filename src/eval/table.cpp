#include "eval/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace nibble::eval {
namespace {

/// Columns that UTF-8 text takes on a terminal: one a code point is right for everything we print.
size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string display_width_padded(std::string_view text, size_t width, bool right) {
  const size_t used = display_width(text);
  const std::string fill(used < width ? width - used : 0, ' ');
  return right ? fill + std::string(text) : std::string(text) + fill;
}

std::string Table::text(const std::vector<bool>& right, int indent) const {
  std::vector<size_t> widths;
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  std::string out;
  for (const auto& row : rows_) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      if (i) line += "  ";
      line += display_width_padded(row[i], widths[i], i < right.size() && right[i]);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string wrapped(std::string_view text, size_t used, size_t indent, size_t width) {
  std::string out;
  while (!text.empty()) {
    size_t end = text.find_first_of(" ,");
    end = end == std::string_view::npos ? text.size() : end + 1;
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    const size_t columns = display_width(word) - (word.back() == ' ' ? 1 : 0);
    if (used + columns > width && used > indent) {
      while (!out.empty() && out.back() == ' ') out.pop_back();
      out += "\n" + std::string(indent, ' ');
      used = indent;
    }
    out += word;
    used += display_width(word);
  }
  return out;
}

std::string bytes_text(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  if (b < 999.5e3) return fmt::format("{:.3g} kB", b / 1e3);
  if (b < 999.5e6) return b < 99.95e6 ? fmt::format("{:.2f} MB", b / 1e6) : fmt::format("{:.0f} MB", b / 1e6);
  return fmt::format("{:.2f} GB", b / 1e9);
}

std::string seconds_text(double s) {
  if (s < 1e-3) return fmt::format("{:.0f} us", s * 1e6);
  if (s < 0.1) return fmt::format("{:.1f} ms", s * 1e3);
  if (s < 60) return fmt::format("{:.1f} s", s);
  const auto whole = static_cast<int64_t>(s + 0.5);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

std::string count_text(int64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} G", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.2f} M", static_cast<double>(n) / 1e6);
  std::string digits = std::to_string(n);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

}  // namespace nibble::eval
