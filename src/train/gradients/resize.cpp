// Resize, axis by axis: an output position reads one input position (nearest), two (linear) or four (cubic) with fixed
// weights. Formulas: the ONNX specification.
#include <algorithm>
#include <array>
#include <cmath>

#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

struct Axis {
  int64_t in = 0, out = 0;
  double length = 0, scale = 1;  ///< of the output before it is rounded down, and over the input
};

double input_position(double i, const Axis& a, const std::string& mode) {
  const auto in = static_cast<double>(a.in), out = static_cast<double>(a.out);
  if (mode == "asymmetric") return i / a.scale;
  if (mode == "tf_half_pixel_for_nn") return (i + 0.5) / a.scale;
  if (mode == "align_corners") return a.length <= 1 ? 0 : i * (in - 1) / (a.length - 1);
  if (mode == "pytorch_half_pixel" && a.out == 1) return 0;
  const double middle = mode == "half_pixel_symmetric" ? in / 2 * (1 - out / (a.scale * in)) : 0;
  return middle + (i + 0.5) / a.scale - 0.5;
}

double nearest(double x, const std::string& rounding) {
  if (rounding == "floor") return std::floor(x);
  if (rounding == "ceil") return std::ceil(x);
  return rounding == "round_prefer_ceil" ? std::floor(x + 0.5) : std::ceil(x - 0.5);
}

/// Weights of the positions floor(x) - 1 ... floor(x) + 2 at a fraction t above floor(x).
std::array<double, 4> weights_at(double t, bool linear, double a) {
  if (linear) return {0, 1 - t, t, 0};
  const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(1 + t), near(t), near(1 - t), far(2 - t)};
}

at::Tensor resized(Step& s, const at::Tensor& x, int64_t dimension, const Axis& a) {
  const std::string mode = s.node().text("mode", "nearest"),
                    coordinates = s.node().text("coordinate_transformation_mode", "half_pixel"),
                    rounding = s.node().text("nearest_mode", "round_prefer_floor");
  const auto place = [&](double p) { return static_cast<int64_t>(std::clamp(p, 0.0, static_cast<double>(a.in - 1))); };
  std::array<std::vector<int64_t>, 4> places;
  std::array<std::vector<float>, 4> weights;
  for (int64_t i = 0; i < a.out; ++i) {
    const double at = input_position(static_cast<double>(i), a, coordinates), low = std::floor(at);
    if (mode == "nearest") {
      places[0].push_back(place(nearest(at, rounding)));
      continue;
    }
    const auto w = weights_at(at - low, mode == "linear", s.number("cubic_coeff_a", -0.75f));
    for (size_t k = 0; k < 4; ++k) {
      places[k].push_back(place(low + static_cast<double>(k) - 1));
      weights[k].push_back(static_cast<float>(w[k]));
    }
  }
  const auto read = [&](size_t k) { return x.index_select(dimension, at::tensor(places[k], at::kLong)); };
  if (mode == "nearest") return read(0);
  std::vector<int64_t> along(static_cast<size_t>(x.dim()), 1);
  along[static_cast<size_t>(dimension)] = a.out;
  at::Tensor y;
  for (size_t k = mode == "linear" ? 1 : 0; k < (mode == "linear" ? 3 : 4); ++k) {
    const at::Tensor part = read(k) * at::tensor(weights[k], at::kFloat).reshape(along);
    y = y.defined() ? y + part : part;
  }
  return y;
}

}  // namespace

void follow_resize(Step& s) {
  const graph::Node& node = s.node();
  at::Tensor x = s.input(0);
  if (node.integer("antialias", 0) != 0) s.unsupported("training does not follow antialias");
  if (node.integer("exclude_outside", 0) != 0) s.unsupported("training does not follow exclude_outside");
  if (node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
    s.unsupported("training does not follow tf_crop_and_resize");
  if (node.text("keep_aspect_ratio_policy", "stretch") != "stretch")
    s.unsupported("training does not follow keep_aspect_ratio_policy");
  std::vector<int64_t> axes = node.integers("axes");
  for (int64_t d = 0; !node.has("axes") && d < x.dim(); ++d) axes.push_back(d);
  const bool by_scale = s.has(2) && s.input(2).numel() > 0;
  const at::Tensor given = s.input(by_scale ? 2 : 3).detach().to(at::kDouble).contiguous();
  if (given.numel() != static_cast<int64_t>(axes.size())) s.unsupported("its scales or sizes do not fit its axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t d = s.axis(axes[i], x.dim());
    const double value = given.data_ptr<double>()[i];
    Axis a{x.size(d), static_cast<int64_t>(value), value, 1};
    if (by_scale) {
      // The size in float32, in which exporters computed it.
      a.out = static_cast<int64_t>(std::floor(static_cast<float>(a.in) * static_cast<float>(value)));
      a.length = static_cast<double>(a.in) * value;
      a.scale = value;
    } else {
      a.scale = value / static_cast<double>(a.in);
    }
    if (a.in != a.out || a.scale != 1) x = resized(s, x, d, a);
  }
  s.output(x);
}

}  // namespace nibble::train
