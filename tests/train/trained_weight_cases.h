#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "codec/format.h"
#include "fit/quantize.h"
#include "train/trained_weight.h"

namespace nibble::test {

/// One way to lay a weight over codes.
struct WeightCase {
  std::string name, format;
  fit::Map map;
  int64_t group = 0;  ///< 0: by channel
  bool per_tensor = false, transposed = false;
};
inline void PrintTo(const WeightCase& c, std::ostream* out) { *out << c.name; }
inline std::string name_of_weight(const testing::TestParamInfo<WeightCase>& info) { return info.param.name; }

/// Every map of every format whose levels are evenly spaced, per tensor, channel and group (the last one shorter), in
/// both storage orders.
inline std::vector<WeightCase> weight_cases() {
  struct Form {
    const char* format;
    fit::Map map;
  };
  const Form forms[] = {
      {"int4", fit::Map::kSymmetric},  {"int4", fit::Map::kRestricted}, {"uint4", fit::Map::kSymmetric},
      {"uint4", fit::Map::kAffine},    {"uint4", fit::Map::kMinmax},    {"int8", fit::Map::kSymmetric},
      {"int8", fit::Map::kRestricted}, {"uint8", fit::Map::kAffine},    {"uint8", fit::Map::kMinmax}};
  std::vector<WeightCase> all;
  for (const Form& f : forms)
    for (const char* granularity : {"tensor", "channel", "group"})
      for (const bool transposed : {false, true}) {
        const std::string g = granularity;
        all.push_back({std::string(f.format) + "_" + std::string(fit::name_of(f.map)) + "_" + g +
                           (transposed ? "_transposed" : ""),
                       f.format, f.map, g == "group" ? 16 : 0, g == "tensor", transposed});
      }
  return all;
}

constexpr int64_t kRows = 6, kColumns = 40;  // 16 + 16 + 8 in groups

/// A weight, quantized as quantize does it, and in training.
struct WeightInTraining {
  quant::LayerPlan layer;
  tensor::Tensor master;
  train::TrainedWeight weight;
};

inline quant::LayerPlan layer_of(const WeightCase& c) {
  quant::LayerPlan l;
  l.weight_name = "w";
  l.shape = c.transposed ? tensor::Shape{kColumns, kRows} : tensor::Shape{kRows, 5, 2, 4};
  l.rows = kRows;
  l.columns = kColumns;
  l.transposed = c.transposed;
  l.grid = fit::make_grid(*codec::find_format(c.format), c.map);
  l.bits = l.grid.format->bits;
  l.group = c.group;
  l.per_tensor = c.per_tensor;
  return l;
}

inline fit::QuantizedMatrix quantize(const quant::LayerPlan& layer, const tensor::Tensor& master, const char* clip) {
  base::ThreadPool pool(1);
  return fit::quantize_matrix(quant::matrix_of(layer, master), layer.grid, layer.group, layer.per_tensor,
                              *fit::find_clip_rule(clip), *fit::find_round_method("nearest"), {}, {}, pool);
}

/// Normal numbers, each row of another size, and not around zero.
inline tensor::Tensor master_of(const quant::LayerPlan& layer) {
  base::Random random(1);
  tensor::Tensor t(tensor::DType::f32, layer.shape, true);
  auto w = t.mutable_values<float>();
  for (size_t i = 0; i < w.size(); ++i) {
    const size_t row = layer.transposed ? i % kRows : i / kColumns;
    w[i] = static_cast<float>((random.normal() + 0.25) * (1.0 + static_cast<double>(row)));
  }
  return t;
}

inline WeightInTraining in_training(const WeightCase& c, train::GridRule rule = train::GridRule::kLsq,
                                    bool learn_zero = true) {
  const quant::LayerPlan layer = layer_of(c);
  const tensor::Tensor master = master_of(layer);
  const tensor::Tensor codes = fit::to_tensor(quantize(layer, master, "minmax"), layer.shape, layer.transposed);
  return {layer, master, train::TrainedWeight(layer, master, codes, rule, learn_zero)};
}

/// What some steps may have made of it: values beyond the range, other scales, other zero points and offsets.
inline void disturb(train::TrainedWeight& w) {
  base::Random random(2);
  for (float& u : w.masters.mutable_values<float>()) u += static_cast<float>(0.3 * random.normal());
  for (float& t : w.log_scale.mutable_values<float>()) t = static_cast<float>(0.3 * random.normal() - 0.3);
  if (w.zero)
    for (float& z : w.zero.mutable_values<float>()) z = static_cast<float>(1.5 * random.normal());
}

/// The masters as the network's numbers, in the order of storage.
inline std::vector<float> real_masters(train::TrainedWeight w) {
  w.set_fineness(0);
  const auto v = w.value();
  return {v.values<float>().begin(), v.values<float>().end()};
}

/// Which scale of the stored ones belongs to a weight, by ONNX's rules for DequantizeLinear.
inline size_t stored_group(const WeightCase& c, size_t index) {
  if (c.per_tensor) return 0;
  const size_t row = c.transposed ? index % kRows : index / kColumns;
  const size_t column = c.transposed ? index / kRows : index % kColumns;
  if (c.group == 0) return row;
  const size_t block = column / static_cast<size_t>(c.group);
  return c.transposed ? block * kRows + row : row * 3 + block;
}

}  // namespace nibble::test
