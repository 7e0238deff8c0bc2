#include "eval/html/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/html/escape.h"
#include "eval/table.h"

namespace nibble::eval::html {
namespace {

constexpr double kWidth = 360, kHeight = 132, kTop = 6, kBase = 112, kRangesHeight = 52;
constexpr size_t kMostLevels = 32;     // more lines would be a grey area
constexpr size_t kMostChannels = 180;  // one line for every two units of the width

std::string level_text(float level) { return fmt::format("{:.3g}", level); }

/// The channels' ranges, neighbours joined where there are more than the picture has room for.
std::vector<WeightHistogram::Range> joined(const std::vector<WeightHistogram::Range>& channels, size_t& together) {
  together = (channels.size() + kMostChannels - 1) / kMostChannels;
  std::vector<WeightHistogram::Range> out;
  for (size_t i = 0; i < channels.size(); ++i) {
    if (i % together == 0) out.push_back(channels[i]);
    out.back().low = std::min(out.back().low, channels[i].low);
    out.back().high = std::max(out.back().high, channels[i].high);
  }
  return out;
}

std::string range_picture(const WeightHistogram& h) {
  size_t together = 1;
  const auto ranges = joined(h.channels, together);
  double least = 0, most = 0;
  for (const auto& r : ranges) {
    least = std::min(least, static_cast<double>(r.low));
    most = std::max(most, static_cast<double>(r.high));
  }
  if (ranges.empty() || !(most > least)) return {};
  const auto y = [&](double v) { return 2 + (most - v) / (most - least) * (kRangesHeight - 4); };
  std::string path;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const double x = (static_cast<double>(i) + 0.5) / static_cast<double>(ranges.size()) * kWidth;
    path += fmt::format("M{:.1f} {:.1f}V{:.1f}", x, y(ranges[i].high), y(ranges[i].low) + 0.5);
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"range of each output channel, from {2:.3g} to {3:.3g}\">"
      "<path class=\"axis\" d=\"M0 {4:.1f}H{0}\"/><path class=\"range\" d=\"{5}\"/></svg>\n",
      kWidth, kRangesHeight, least, most, y(0), path);
}

}  // namespace

std::string bar(double share, std::string_view css, std::string_view label, int height) {
  const double percent = 100 * std::clamp(std::isfinite(share) ? share : 1.0, 0.0, 1.0);
  return fmt::format(
      "<svg width=\"100%\" height=\"{0}\" role=\"img\" aria-label=\"{1}\"><rect class=\"track\" width=\"100%\" "
      "height=\"{0}\" "
      "rx=\"{2}\"/><rect class=\"{3}\" width=\"{4:.2f}%\" height=\"{0}\" rx=\"{2}\"/></svg>",
      height, escaped(label), height / 2, css, percent);
}

std::string_view bits_class(int bits) { return bits <= 4 ? "b4" : bits <= 8 ? "b8" : "wide"; }

std::string histogram(const WeightHistogram& h, std::string_view label) {
  const auto x = [&](double v) { return (v - h.low) / (h.high - h.low) * kWidth; };
  const int64_t most = std::max<int64_t>(1, *std::max_element(h.counts.begin(), h.counts.end()));
  const double step = kWidth / static_cast<double>(h.counts.size());
  std::string area = fmt::format("M0 {}", kBase);
  double at = -1;
  for (const int64_t count : h.counts) {
    const double y = kBase - static_cast<double>(count) / static_cast<double>(most) * (kBase - kTop);
    if (y != at) area += fmt::format("V{:.1f}", y);
    at = y;
    area += fmt::format("h{:.1f}", step);
  }
  area += fmt::format("V{}Z", kBase);
  std::string lines;
  if (h.levels.size() <= kMostLevels)
    for (const float level : h.levels) lines += fmt::format("M{:.1f} {}V{}", x(level), kTop, kBase);
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><path class=\"fill\" d=\"{}\"/>"
      "<path class=\"level\" d=\"{}\"/><path class=\"axis\" d=\"M0 {}H{}\"/>",
      kWidth, kHeight, escaped(label), area, lines, kBase, kWidth);
  const auto mark = [&](float level) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(level), kBase + 15,
                       level_text(level));
  };
  mark(h.levels.front());
  if (h.levels.size() > 2) mark(h.levels[h.levels.size() / 2]);
  mark(h.levels.back());
  return svg + "</svg>\n" + range_picture(h);
}

std::string histogram_caption(const WeightError& error, const WeightHistogram& h) {
  size_t together = 1;
  joined(h.channels, together);
  const auto [least, most] =
      std::minmax_element(h.channels.begin(), h.channels.end(),
                          [](const auto& a, const auto& b) { return a.high - a.low < b.high - b.low; });
  std::string text =
      fmt::format("{} weights, {}; {} clipped ({:.2g} %)", count_text(h.elements), error.format, count_text(h.clipped),
                  100.0 * static_cast<double>(h.clipped) / static_cast<double>(std::max<int64_t>(1, h.elements)));
  if (h.levels.size() > kMostLevels) text += fmt::format("; {} levels, not drawn", h.levels.size());
  if (!h.channels.empty()) {
    text += fmt::format(". {} output channels, from {:.3g} to {:.3g} wide", h.channels.size(), least->high - least->low,
                        most->high - most->low);
    if (together > 1) text += fmt::format(" ({} to a line)", together);
  }
  return text + ".";
}

}  // namespace nibble::eval::html
