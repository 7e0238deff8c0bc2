// Resize. Every axis is resized by itself: an output position reads a few input positions (its taps) with weights, and
// one pass over the tensor applies the taps of one axis. Axes that shrink come first, so no intermediate tensor is
// larger than input or output. Formulas: the ONNX specification; cubic: R. Keys, Cubic convolution interpolation, 1981.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/numbers.h"
#include "ops/strided.h"

namespace nibble::ops {
namespace {

/// What one axis does.
struct AxisPlan {
  int64_t in = 0, out = 0;
  double length = 0;  ///< of the output before it is rounded down
  double scale = 1, roi_start = 0, roi_end = 1;
};

enum Input : size_t { kData = 0, kRoi = 1, kScales = 2, kSizes = 3 };

/// An empty list counts as absent.
bool given(const InferContext& c, size_t i) { return c.has(i) && !(c.data(i) && c.data(i)->elements() == 0); }

std::vector<size_t> resized_axes(const InferContext& c, size_t rank) {
  std::vector<size_t> axes;
  for (const int64_t a : c.node().integers("axes"))
    axes.push_back(static_cast<size_t>(checked_axis(c, a, static_cast<int64_t>(rank))));
  if (!c.node().has("axes"))
    for (size_t d = 0; d < rank; ++d) axes.push_back(d);
  return axes;
}

/// `floor` of input * scale, where scale is what the file says; the number of output positions of one axis.
int64_t scaled(const InferContext& c, int64_t in, double scale) {
  c.require(scale > 0 && scale < 1e9, "holds a scale of " + std::to_string(scale));
  if (in == kUnknown) return kUnknown;
  // float32 arithmetic, in which exporters computed the sizes they expect.
  const double out = std::floor(static_cast<double>(static_cast<float>(in) * static_cast<float>(scale)));
  if (!(out <= static_cast<double>(kMostElements)))
    base::fail_limit(c.node().describe(), "its output would be too large");
  return static_cast<int64_t>(out);
}

/// All axes of the input; sizes are kUnknown where the scales or sizes are not known yet.
std::vector<AxisPlan> read_axes(const InferContext& c) {
  const Shape& x = c.shape(kData);
  std::vector<AxisPlan> plan(x.size());
  for (size_t d = 0; d < x.size(); ++d) plan[d].in = plan[d].out = x[d], plan[d].length = static_cast<double>(x[d]);
  const auto axes = resized_axes(c, x.size());
  const bool by_scale = given(c, kScales), by_size = given(c, kSizes);
  c.require(by_scale != by_size, "needs either scales or sizes");
  const size_t input = by_scale ? kScales : kSizes;
  if (!c.data(input)) {
    for (const size_t d : axes) plan[d].out = kUnknown;
    return plan;
  }
  const auto values = decode_numbers(*c.data(input));
  c.require(values.size() == axes.size(),
            "has " + std::to_string(values.size()) + " scales or sizes for " + std::to_string(axes.size()) + " axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    AxisPlan& axis = plan[axes[i]];
    if (by_scale) {
      axis.scale = values[i];
      axis.out = scaled(c, axis.in, values[i]);
      axis.length = static_cast<double>(axis.in) * values[i];
      continue;
    }
    c.require(values[i] >= 0 && values[i] <= static_cast<double>(kMostElements),
              "asks for a size of " + std::to_string(values[i]));
    axis.out = static_cast<int64_t>(values[i]);
    axis.length = values[i];
    if (axis.in > 0) axis.scale = static_cast<double>(axis.out) / static_cast<double>(axis.in);
  }
  const std::string policy = c.node().text("keep_aspect_ratio_policy", "stretch");
  c.require(policy == "stretch" || policy == "not_larger" || policy == "not_smaller",
            "keep_aspect_ratio_policy is " + base::in_quotes(policy));
  if (by_size && policy != "stretch") {
    double scale = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0.0;
    for (const size_t d : axes)
      scale = policy == "not_larger" ? std::min(scale, plan[d].scale) : std::max(scale, plan[d].scale);
    for (const size_t d : axes) {
      plan[d].scale = scale;
      const double out = scale * static_cast<double>(plan[d].in);
      if (!(out <= static_cast<double>(kMostElements)))
        base::fail_limit(c.node().describe(), "its output would be too large");
      if (plan[d].in != kUnknown) plan[d].out = static_cast<int64_t>(std::llround(out));
      plan[d].length = static_cast<double>(plan[d].out);
    }
  }
  if (given(c, kRoi) && c.data(kRoi)) {
    const auto roi = decode_numbers(*c.data(kRoi));
    c.require(roi.size() == 2 * axes.size(), "its roi has " + std::to_string(roi.size()) + " values");
    for (size_t i = 0; i < axes.size(); ++i) {
      plan[axes[i]].roi_start = roi[i];
      plan[axes[i]].roi_end = roi[i + axes.size()];
    }
  }
  return plan;
}

void require_one_of(const InferContext& c, const char* key, const char* fallback,
                    std::initializer_list<const char*> names) {
  const std::string value = c.node().text(key, fallback);
  c.require(std::any_of(names.begin(), names.end(), [&](const char* name) { return value == name; }),
            std::string(key) + " is " + base::in_quotes(value));
}

void infer_resize(InferContext& c) {
  require_one_of(c, "mode", "nearest", {"nearest", "linear", "cubic"});
  require_one_of(c, "coordinate_transformation_mode", "half_pixel",
                 {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                  "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  require_one_of(c, "nearest_mode", "round_prefer_floor", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  if (!c.shape_known(kData)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape;
  for (const AxisPlan& axis : read_axes(c)) shape.push_back(axis.out);
  c.output(0, c.dtype(0), shape);
}

/// The input position, a real number, that output position `i` stands for.
double input_position(double i, const AxisPlan& axis, const std::string& mode) {
  const double in = static_cast<double>(axis.in), out = static_cast<double>(axis.out), scale = axis.scale;
  if (mode == "asymmetric") return i / scale;
  if (mode == "tf_half_pixel_for_nn") return (i + 0.5) / scale;
  if (mode == "align_corners") return axis.length <= 1 ? 0 : i * (in - 1) / (axis.length - 1);
  if (mode == "pytorch_half_pixel") return axis.out == 1 ? 0 : (i + 0.5) / scale - 0.5;
  if (mode == "tf_crop_and_resize")
    return axis.out == 1 ? 0.5 * (axis.roi_start + axis.roi_end) * (in - 1)
                         : axis.roi_start * (in - 1) + i * (axis.roi_end - axis.roi_start) * (in - 1) / (out - 1);
  if (mode == "half_pixel_symmetric") {
    // The output that the scale asks for may be a fraction longer than the integer one; its middle stays in the middle.
    const double adjustment = out / (scale * in), centre = in / 2;
    return centre * (1 - adjustment) + (i + 0.5) / scale - 0.5;
  }
  return (i + 0.5) / scale - 0.5;
}

struct Taps {
  std::vector<int64_t> places;
  std::vector<float> weights;
  bool outside = false;  ///< the extrapolation value instead
};

double cubic(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

int64_t nearest_place(double x, const std::string& rounding) {
  if (rounding == "floor") return static_cast<int64_t>(std::floor(x));
  if (rounding == "ceil") return static_cast<int64_t>(std::ceil(x));
  const double low = std::floor(x);
  const bool up = rounding == "round_prefer_ceil" ? x - low >= 0.5 : x - low > 0.5;
  return static_cast<int64_t>(low) + up;
}

Taps taps_of(int64_t i, const AxisPlan& axis, const Node& node) {
  const std::string mode = node.text("mode", "nearest"),
                    coordinates = node.text("coordinate_transformation_mode", "half_pixel");
  const double position = input_position(static_cast<double>(i), axis, coordinates);
  const double x = std::isnan(position) ? 0 : std::clamp(position, -1e15, 1e15);  // an absurd roi, far outside
  Taps taps;
  taps.outside = coordinates == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(axis.in - 1));
  const auto inside = [&](int64_t place) { return std::clamp<int64_t>(place, 0, axis.in - 1); };
  if (mode == "nearest") {
    taps.places = {inside(nearest_place(x, node.text("nearest_mode", "round_prefer_floor")))};
    taps.weights = {1.0f};
    return taps;
  }
  // Antialiasing: where the axis shrinks, the filter is as wide as an output position.
  const double stretch = node.integer("antialias", 0) != 0 ? std::min(axis.scale, 1.0) : 1.0;
  const double radius = (mode == "linear" ? 1 : 2) / stretch, a = node.real("cubic_coeff_a", -0.75f);
  const bool exclude = node.integer("exclude_outside", 0) != 0;
  const double floor_x = std::floor(x);
  const auto first = static_cast<int64_t>(std::floor(x - radius)) + 1,
             last = static_cast<int64_t>(std::floor(x + radius));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t place = std::max(first, -axis.in - 8); place <= std::min(last, 2 * axis.in + 8); ++place) {
    const double distance = (static_cast<double>(place) - floor_x - (x - floor_x)) * stretch;
    double w = mode == "linear" ? std::max(0.0, 1 - std::fabs(distance)) : cubic(distance, a);
    if ((exclude || stretch < 1) && (place < 0 || place >= axis.in)) w = exclude ? 0 : w;
    if (w == 0) continue;
    taps.places.push_back(inside(place));
    weights.push_back(w);
    sum += w;
  }
  if (weights.empty()) {  // wholly outside the input: its nearest edge
    taps.places = {inside(static_cast<int64_t>(std::llround(x)))};
    weights = {1.0};
    sum = 1;
  }
  const bool normalise = exclude || stretch < 1;
  for (const double w : weights) taps.weights.push_back(static_cast<float>(normalise ? w / sum : w));
  return taps;
}

/// One pass: y[outer, out, inner] from x[outer, in, inner].
void resize_axis(const float* x, float* y, int64_t outer, const AxisPlan& axis, int64_t inner,
                 const std::vector<Taps>& taps, float fill, base::ThreadPool& pool) {
  for_ranges(pool, outer * axis.out, std::max<int64_t>(1, kGrain / (4 * inner)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Taps& t = taps[static_cast<size_t>(row % axis.out)];
      const float* from = x + row / axis.out * axis.in * inner;
      float* to = y + row * inner;
      if (t.outside) {
        std::fill_n(to, inner, fill);
        continue;
      }
      for (int64_t k = 0; k < inner; ++k) to[k] = from[t.places[0] * inner + k] * t.weights[0];
      for (size_t p = 1; p < t.places.size(); ++p)
        for (int64_t k = 0; k < inner; ++k) to[k] += from[t.places[p] * inner + k] * t.weights[p];
    }
  });
}

/// Nearest: elements are copied, whatever their type, a place for every position of every axis.
void copy_nearest(RunContext& c, const std::vector<std::vector<Taps>>& taps) {
  const Shape &in = c.input(0).shape(), &out = c.output(0).shape();
  const auto strides = row_major_strides(in);
  const size_t rank = out.size();
  const auto copy = [&](auto element) {
    using T = decltype(element);
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    const int64_t inner = out[rank - 1];
    std::vector<int64_t> places;
    for (const Taps& t : taps[rank - 1]) places.push_back(t.places[0]);
    for_ranges(c.pool(), c.output(0).elements() / inner, std::max<int64_t>(1, kGrain / inner),
               [&](int64_t begin, int64_t end) {
                 for (int64_t run = begin; run < end; ++run) {
                   int64_t rest = run, at = 0;
                   for (size_t d = rank - 1; d-- > 0; rest /= out[d])
                     at += taps[d][static_cast<size_t>(rest % out[d])].places[0] * strides[d];
                   for (int64_t k = 0; k < inner; ++k) y[run * inner + k] = x[at + places[static_cast<size_t>(k)]];
                 }
               });
  };
  switch (bytes_an_element(c, c.input(0))) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      return copy(uint64_t{});
  }
}

void run_resize(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  if (c.input(0).elements() == 0) c.malformed("its input is empty");
  const auto facts = facts_of(c);
  const auto plan = read_axes(InferContext(c.node(), facts, {}));
  if (plan.empty()) return void(c.output(0) = c.input(0));
  bool outside = false;
  std::vector<std::vector<Taps>> taps(plan.size());
  for (size_t d = 0; d < plan.size(); ++d)
    for (int64_t i = 0; i < plan[d].out; ++i) {
      taps[d].push_back(plan[d].in == plan[d].out && plan[d].scale == 1 && plan[d].roi_start == 0 &&
                                plan[d].roi_end == 1
                            ? Taps{{i}, {1.0f}}
                            : taps_of(i, plan[d], c.node()));
      outside = outside || taps[d].back().outside;
    }
  if (c.node().text("mode", "nearest") == "nearest" && !outside) return copy_nearest(c, taps);
  std::vector<size_t> order;
  for (size_t d = 0; d < plan.size(); ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return static_cast<double>(plan[a].out) * static_cast<double>(plan[b].in) <
           static_cast<double>(plan[b].out) * static_cast<double>(plan[a].in);
  });
  const float fill = c.node().real("extrapolation_value", 0.0f);
  Shape shape = c.input(0).shape();
  std::vector<float> now;
  const auto decoded = c.input(0).dtype() == DType::f32 ? std::vector<double>{} : decode_numbers(c.input(0));
  if (decoded.empty()) {
    const auto x = c.input(0).values<float>();
    now.assign(x.begin(), x.end());
  } else {
    now.assign(decoded.begin(), decoded.end());
  }
  for (const size_t d : order) {
    const bool same = std::all_of(taps[d].begin(), taps[d].end(), [&](const Taps& t) {
      return !t.outside && t.places.size() == 1 && t.weights[0] == 1 && t.places[0] == &t - taps[d].data();
    });
    if (same && plan[d].in == plan[d].out) continue;
    int64_t outer = 1, inner = 1;
    for (size_t k = 0; k < d; ++k) outer *= shape[k];
    for (size_t k = d + 1; k < shape.size(); ++k) inner *= shape[k];
    std::vector<float> next(static_cast<size_t>(outer * plan[d].out * inner));
    resize_axis(now.data(), next.data(), outer, plan[d], inner, taps[d], fill, c.pool());
    shape[d] = plan[d].out;
    now = std::move(next);
  }
  if (c.output(0).dtype() == DType::f32)
    return void(std::copy(now.begin(), now.end(), mutable_data_of<float>(c.output(0))));
  const std::vector<double> result(now.begin(), now.end());
  c.output(0) = encode_numbers(c.output(0).dtype(), c.output(0).shape(), result, true);
}

}  // namespace

const Operator& resize() {
  static const Operator op{"Resize", "", 1, 4, 1, infer_resize, run_resize, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
