#include "eval/html/curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/html/escape.h"

namespace nibble::eval::html {
namespace {

constexpr double kWidth = 360, kLeft = 46, kRight = 352, kTop = 10, kBase = 148, kHeight = 182;

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into at most `most` parts.
double round_step(double range, int most) {
  const double ten = std::pow(10.0, std::floor(std::log10(range / most)));
  for (const double m : {1.0, 2.0, 5.0})
    if (range / (m * ten) <= most) return m * ten;
  return 10 * ten;
}

}  // namespace

std::string curve(const PageCurve& c) {
  double least = INFINITY, most = -INFINITY, first = INFINITY, last = -INFINITY;
  for (const auto& line : c.lines)
    for (const auto& [x, y] : line.points) {
      least = std::min(least, y);
      most = std::max(most, y);
      if (line.points.size() > 1) {
        first = std::min(first, x);
        last = std::max(last, x);
      }
    }
  if (!(least <= most)) return {};
  if (!(first < last)) first = 0, last = 1;
  if (!(least < most)) least -= 0.5, most += 0.5;
  const double step = round_step(most - least, 4);
  least = std::floor(least / step) * step;
  most = std::ceil(most / step) * step;
  const auto px = [&](double v) { return kLeft + (v - first) / (last - first) * (kRight - kLeft); };
  const auto py = [&](double v) { return kBase - (v - least) / (most - least) * (kBase - kTop); };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                                escaped(c.title + ": " + c.caption));
  for (double v = least; v <= most + step / 2; v += step)
    svg += fmt::format(
        "<path class=\"axis\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}{}</text>",
        kLeft, py(v), kRight, kLeft - 6, py(v) + 4, std::fabs(v) < step / 1e6 ? 0.0 : v, escaped(c.unit));
  const double x_step = std::max(1.0, round_step(last - first, 6));
  for (double v = std::ceil(first / x_step) * x_step; v <= last + 1e-9; v += x_step)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.4g}</text>", px(v), kBase + 15, v);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kRight, kHeight - 4, escaped(c.x_label));
  std::string key;
  for (size_t i = c.lines.size(); i-- > 0;) {  // the one that matters is drawn last
    const auto& points = c.lines[i].points;
    if (points.empty()) continue;
    std::string path;
    if (points.size() == 1)
      path = fmt::format("M{} {:.1f}H{}", kLeft, py(points[0].second), kRight);
    else
      for (const auto& [x, y] : points) path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', px(x), py(y));
    svg += fmt::format("<path class=\"line line{}\"{} d=\"{}\"/>", std::min<size_t>(i, 3),
                       points.size() == 1 ? " stroke-dasharray=\"4 4\"" : "", path);
  }
  for (size_t i = 0; i < c.lines.size(); ++i)
    key += fmt::format(
        "<span class=\"key\"><svg width=\"16\" height=\"12\" viewBox=\"0 0 16 12\" aria-hidden=\"true\"><path "
        "class=\"line line{}\" d=\"M0 6H16\"/></svg>{}</span>",
        std::min<size_t>(i, 3), escaped(c.lines[i].label));
  return svg + "</svg>\n<p class=\"soft\">" + key + "</p>\n";
}

}  // namespace nibble::eval::html
