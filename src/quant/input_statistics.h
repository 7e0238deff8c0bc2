#pragma once
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/calibrate/calibration.h"
#include "quant/plan/plan.h"

namespace nibble::quant {

/// What a product's inputs look like, from a calibration: one number a reduction column of its weight.
struct InputStatistics {
  std::vector<float>
      mean_square;           ///< E[x^2], floored at a thousandth of their mean; empty where rows see different inputs
  std::vector<double> mean;  ///< E[x] of every input channel
};

/// Statistics for `layer`, or empty ones where the calibration has none for its input.
InputStatistics input_statistics(const graph::Graph& graph, const LayerPlan& layer, const Calibration& calibration);

/// Bias correction (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
/// 2019, 3.4; the empirical form): quantizing W to W' moves the mean output by (W' - W) E[x], which is taken back from
/// the bias,
///     b' = b + (W - W') E[x],
/// with E[x] of the float network's own inputs. Padding is not counted. A convolution or Gemm without a bias gets one;
/// a MatMul takes it where a constant is added to its result alone. Returns false where there is no place for it.
bool correct_bias(graph::Graph& graph, const LayerPlan& layer, const tensor::Tensor& weight,
                  const tensor::Tensor& quantized, const InputStatistics& statistics);

}  // namespace nibble::quant
