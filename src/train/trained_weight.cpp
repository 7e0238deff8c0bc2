// A quantized weight in training. With master w = u * unit, scale s = storable(s0 * exp(t)), whole zero point z (or
// offset o), n and p the lowest and highest code less the zero point, v = (w - o) / s:
//   value   = s * round(clamp(v, n, p)) + o
//   d/dw    = [n <= v <= p]                              (straight through; LSQ and PACT as well)
//   d/dt    = s * g * (round(v) - v inside, n or p outside),  g = 1 / sqrt(weights of the group * highest level)
//   d/dz    = -s g outside, 0 inside;   d/do = 1 outside, 0 inside
// Esser et al., "Learned Step Size Quantization", 2020, equations 2 to 4; Bhalgat et al., "LSQ+", 2020. We differ in
// learning the logarithm of the scale, which keeps it positive and makes steps relative.
#include "train/trained_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "codec/format.h"

namespace nibble::train {
namespace {

using tensor::DType;
using tensor::Tensor;

constexpr int8_t kNotFrozen = INT8_MIN;  // in frozen_code_: the weight still moves

double root_mean_square(double squares, int64_t count) {
  return count ? std::sqrt(squares / static_cast<double>(count)) : 0.0;
}

}  // namespace

struct TrainedWeight::Group {
  codec::GroupParams params;  ///< as stored
  float low, high;            ///< codes less the zero point, in the present fineness
  float step;                 ///< scale in the present fineness
};

int64_t TrainedWeight::group_of(int64_t row, int64_t column) const {
  if (per_tensor_) return 0;
  return group_ ? row * ((columns_ + group_ - 1) / group_) + column / group_ : row;
}

/// Calls f(index in storage order, row, group) for every weight, in storage order.
template <typename F>
void TrainedWeight::for_each_weight(const F& f) const {
  const int64_t outer = transposed_ ? columns_ : rows_, inner = transposed_ ? rows_ : columns_;
  size_t index = 0;
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < inner; ++j, ++index) {
      const int64_t row = transposed_ ? j : i, column = transposed_ ? i : j;
      f(index, static_cast<size_t>(row), static_cast<size_t>(group_of(row, column)));
    }
}

TrainedWeight::TrainedWeight(const quant::LayerPlan& layer, const Tensor& master, const Tensor& codes, GridRule rule,
                             bool learn_zero)
    : name_(layer.weight_name),
      shape_(layer.shape),
      grid_(layer.grid),
      rows_(layer.rows),
      columns_(layer.columns),
      group_(layer.group),
      transposed_(layer.transposed),
      per_tensor_(layer.per_tensor),
      rule_(rule) {
  if (!grid_.format->uniform())
    base::fail_unsupported(
        "tensor " + base::in_quotes(name_),
        "training learns grids of evenly spaced levels, " + std::string(grid_.format->name) + " is none",
        "use int4 or uint4");
  const auto w = master.values<float>();
  std::vector<double> squares(static_cast<size_t>(rows_));
  double all = 0;
  for_each_weight([&](size_t i, size_t row, size_t) {
    squares[row] += double{w[i]} * double{w[i]};
    all += double{w[i]} * double{w[i]};
  });
  const double whole = root_mean_square(all, rows_ * columns_);
  for (const double s : squares) {
    const double own = root_mean_square(s, columns_);
    // A row of (nearly) nothing moves in steps of its tensor, so that it can become something.
    unit_.push_back(static_cast<float>(own > 1e-3 * whole ? own : whole > 0 ? whole : 1.0));
  }
  masters = Tensor(DType::f32, {rows_ * columns_}, true);
  auto u = masters.mutable_values<float>();
  for_each_weight([&](size_t i, size_t row, size_t) { u[i] = w[i] / unit_[row]; });

  const auto& q = *codes.quantization();
  const int64_t groups = q.scale.elements();
  const int64_t per_row = per_tensor_ || !group_ ? 1 : (columns_ + group_ - 1) / group_;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t stored = transposed_ && per_row > 1 ? (g % per_row) * rows_ + g / per_row : g;
    const codec::GroupParams p = codec::params_at(q, stored);
    first_scale_.push_back(p.scale);
    first_zero_.push_back(p.zero);
    first_offset_.push_back(p.offset);
  }
  log_scale = Tensor(DType::f32, {groups});
  if (learn_zero && (grid_.map == fit::Map::kAffine || grid_.stores_offset())) zero = Tensor(DType::f32, {groups});
}

int TrainedWeight::code_of(size_t index, float w, const codec::GroupParams& params) const {
  if (!frozen_code_.empty() && frozen_code_[index] != kNotFrozen)
    return std::clamp(frozen_code_[index] + params.zero, grid_.lowest_code(), grid_.highest_code());
  return std::max(grid_.lowest_code(), grid_.format->quantize(w, params));
}

TrainedWeight::Group TrainedWeight::group(int64_t index) const {
  const auto g = static_cast<size_t>(index);
  Group out;
  codec::GroupParams wanted{first_scale_[g] * std::exp(log_scale.values<float>()[g]), first_zero_[g], first_offset_[g]};
  if (zero && grid_.stores_offset())
    wanted.offset += zero.values<float>()[g] * first_scale_[g];
  else if (zero)
    wanted.zero = std::clamp(first_zero_[g] + static_cast<int>(std::lround(zero.values<float>()[g])),
                             grid_.lowest_code(), grid_.highest_code());
  out.params = grid_.storable(wanted);
  const auto factor = static_cast<float>(std::max(1, fineness_));
  out.step = out.params.scale / factor;
  out.low = static_cast<float>(grid_.lowest_code() - out.params.zero) * factor;
  out.high = static_cast<float>(grid_.highest_code() - out.params.zero) * factor;
  return out;
}

Tensor TrainedWeight::value() const {
  Tensor out(DType::f32, shape_, true);
  auto y = out.mutable_values<float>();
  const auto u = masters.values<float>();
  if (fineness_ == 0) {
    for_each_weight([&](size_t i, size_t row, size_t) { y[i] = u[i] * unit_[row]; });
    return out;
  }
  std::vector<Group> groups;
  for (int64_t g = 0; g < log_scale.elements(); ++g) groups.push_back(group(g));
  for_each_weight([&](size_t i, size_t row, size_t g) {
    const Group& p = groups[g];
    const float w = u[i] * unit_[row];
    if (fineness_ == 1) {
      y[i] = grid_.format->decode(code_of(i, w, p.params), p.params);
      return;
    }
    const float v = std::clamp((w - p.params.offset) / p.step, p.low, p.high);
    y[i] = std::nearbyint(v) * p.step + p.params.offset;
  });
  return out;
}

fit::QuantizedMatrix TrainedWeight::quantized() const {
  NIBBLE_INVARIANT(fineness_ == 1);
  fit::QuantizedMatrix q;
  q.grid = grid_;
  q.rows = rows_;
  q.columns = columns_;
  q.group = group_ ? group_ : columns_;
  q.per_tensor = per_tensor_;
  q.codes.resize(static_cast<size_t>(rows_ * columns_));
  for (int64_t g = 0; g < log_scale.elements(); ++g) q.params.push_back(group(g).params);
  const auto u = masters.values<float>();
  for_each_weight([&](size_t i, size_t row, size_t g) {
    const int code = code_of(i, u[i] * unit_[row], q.params[g]);
    const size_t column = transposed_ ? i / static_cast<size_t>(rows_) : i % static_cast<size_t>(columns_);
    q.codes[row * static_cast<size_t>(columns_) + column] = static_cast<int8_t>(code);
  });
  return q;
}

Tensor TrainedWeight::constant() const { return fit::to_tensor(quantized(), shape_, transposed_); }

void TrainedWeight::start_from(const std::vector<codec::GroupParams>& params) {
  for (size_t g = 0; g < params.size(); ++g) {
    first_scale_[g] = params[g].scale;
    first_zero_[g] = params[g].zero;
    first_offset_[g] = params[g].offset;
  }
  std::fill_n(log_scale.mutable_values<float>().data(), log_scale.elements(), 0.0f);
  if (zero) std::fill_n(zero.mutable_values<float>().data(), zero.elements(), 0.0f);
}

Tensor TrainedWeight::real_masters() const {
  Tensor real(DType::f32, shape_, true);
  auto w = real.mutable_values<float>();
  const auto u = masters.values<float>();
  for_each_weight([&](size_t i, size_t row, size_t) { w[i] = u[i] * unit_[row]; });
  return real;
}

void TrainedWeight::refit(const quant::Scheme& scheme, base::ThreadPool& pool) {
  const Tensor real = real_masters();
  fit::MatrixView view{real.values<float>().data(), rows_, columns_, columns_, 1};
  if (transposed_) {
    view.row_stride = 1;
    view.column_stride = rows_;
  }
  fit::ClipOptions options;
  options.percentile = scheme.percentile;
  start_from(
      fit::quantize_matrix(view, grid_, group_, per_tensor_, *scheme.clip, *scheme.round, options, {}, pool).params);
}

void TrainedWeight::cover_range() {
  const size_t groups = static_cast<size_t>(log_scale.elements());
  std::vector<float> low(groups, std::numeric_limits<float>::infinity()), high(groups, -low[0]);
  const auto u = masters.values<float>();
  for_each_weight([&](size_t i, size_t row, size_t g) {
    low[g] = std::min(low[g], u[i] * unit_[row]);
    high[g] = std::max(high[g], u[i] * unit_[row]);
  });
  std::vector<codec::GroupParams> params;
  for (size_t g = 0; g < groups; ++g)
    params.push_back(low[g] == 0 && high[g] == 0 ? fit::zero_group(grid_)
                                                 : fit::params_from_range(low[g], high[g], grid_));
  start_from(params);
}

TrainedWeight::Gradients TrainedWeight::backward(const Tensor& gradient, double damping, double kurtosis) const {
  Gradients out{Tensor(DType::f32, masters.shape(), true), Tensor(DType::f32, log_scale.shape()), {}};
  if (zero) out.zero = Tensor(DType::f32, zero.shape());
  const auto g = gradient.values<float>(), u = masters.values<float>();
  auto to = out.masters.mutable_values<float>();
  if (fineness_ == 0) {
    for_each_weight([&](size_t i, size_t row, size_t) { to[i] = g[i] * unit_[row]; });
  } else {
    std::vector<Group> groups;
    for (int64_t k = 0; k < log_scale.elements(); ++k) groups.push_back(group(k));
    std::vector<double> scale_sum(groups.size()), zero_sum(groups.size());
    const double pull = 2.0 * damping / static_cast<double>(rows_ * columns_);
    for_each_weight([&](size_t i, size_t row, size_t k) {
      const Group& p = groups[k];
      const float v = (u[i] * unit_[row] - p.params.offset) / p.step;
      const float c = std::clamp(v, p.low, p.high);
      const bool inside = c == v;
      const float level = std::nearbyint(c);
      if (inside && rule_ != GridRule::kPact) scale_sum[k] += double{g[i]} * double{level - v};
      if (!inside) {
        scale_sum[k] += double{g[i]} * double{level};
        zero_sum[k] += double{g[i]};
      }
      // Straight through even where a weight is clipped if its range follows from the data.
      to[i] = inside || rule_ == GridRule::kSte ? g[i] * unit_[row] : 0.0f;
      if (pull > 0 && inside) to[i] += static_cast<float>(pull) * (v - level) * unit_[row] / p.step;
      if (!frozen_code_.empty() && frozen_code_[i] != kNotFrozen) to[i] = 0.0f;
    });
    for (size_t k = 0; k < groups.size() && rule_ != GridRule::kSte; ++k) {
      const double count = static_cast<double>(rows_ * columns_) / static_cast<double>(groups.size());
      const double levels = std::max(1.0, double{groups[k].high});
      const double damp = 1.0 / std::sqrt(count * levels), step = double{groups[k].step};
      out.log_scale.mutable_values<float>()[k] = static_cast<float>(scale_sum[k] * step * damp);
      if (zero)
        out.zero.mutable_values<float>()[k] = static_cast<float>(
            zero_sum[k] * damp * (grid_.stores_offset() ? double{first_scale_[k]} : -double{groups[k].params.scale}));
    }
  }
  if (kurtosis > 0) {
    const auto n = static_cast<double>(u.size());
    double mean = 0, m2 = 0, m3 = 0, m4 = 0;
    for (const float x : u) mean += double{x} / n;
    for (const float x : u) {
      const double d = double{x} - mean;
      m2 += d * d / n;
      m3 += d * d * d / n;
      m4 += d * d * d * d / n;
    }
    const double factor = m2 > 0 ? 2 * kurtosis * (m4 / (m2 * m2) - 1.8) : 0;
    for (size_t i = 0; factor != 0 && i < u.size(); ++i) {
      const double d = double{u[i]} - mean;
      to[i] += static_cast<float>(factor * 4 / n * ((d * d * d - m3) / (m2 * m2) - m4 * d / (m2 * m2 * m2)));
    }
  }
  return out;
}

void TrainedWeight::track(const Oscillation& o) {
  if (fineness_ != 1 || grid_.format->bits != 4) return;
  const size_t count = static_cast<size_t>(masters.elements());
  const bool first = last_code_.empty();
  if (first) {
    turning_.assign(count, 0);
    mean_code_.assign(count, 0);
    last_code_.assign(count, 0);
    last_direction_.assign(count, 0);
    frozen_code_.assign(count, kNotFrozen);
  }
  std::vector<Group> groups;
  for (int64_t g = 0; g < log_scale.elements(); ++g) groups.push_back(group(g));
  const auto m = static_cast<float>(o.momentum);
  const auto u = masters.values<float>();
  for_each_weight([&](size_t i, size_t row, size_t g) {
    if (frozen_code_[i] != kNotFrozen) return;
    const Group& p = groups[g];
    const auto code =
        static_cast<int8_t>(std::nearbyint(std::clamp((u[i] * unit_[row] - p.params.offset) / p.step, p.low, p.high)));
    if (first) {
      last_code_[i] = code;
      mean_code_[i] = code;
      return;
    }
    const int direction = (code > last_code_[i]) - (code < last_code_[i]);
    const bool turned = direction != 0 && direction == -last_direction_[i];
    turning_[i] = m * (turned ? 1.0f : 0.0f) + (1 - m) * turning_[i];
    mean_code_[i] = m * code + (1 - m) * mean_code_[i];
    if (direction != 0) last_direction_[i] = static_cast<int8_t>(direction);
    last_code_[i] = code;
    if (o.freeze_above > 0 && turning_[i] > static_cast<float>(o.freeze_above))
      frozen_code_[i] = static_cast<int8_t>(std::nearbyint(std::clamp(mean_code_[i], p.low, p.high)));
  });
}

int64_t TrainedWeight::frozen() const {
  return frozen_code_.empty() ? 0
                              : static_cast<int64_t>(frozen_code_.size()) -
                                    std::count(frozen_code_.begin(), frozen_code_.end(), kNotFrozen);
}

double TrainedWeight::oscillating() const {
  if (turning_.empty()) return 0;
  return static_cast<double>(std::count_if(turning_.begin(), turning_.end(), [](float f) { return f > 0.02f; })) /
         static_cast<double>(turning_.size());
}

}  // namespace nibble::train
