#pragma once
#include <vector>

#include "arch/hyperparameters.h"

namespace nibble::arch {

/// What RotatePairs needs: a frequency for each pair of a head, and what multiplies the turned pairs.
struct Rotation {
  std::vector<float> frequencies;
  float magnitude = 1;
};

/// frequency[i] = base^(-2i / dimensions), scaled:
///   linear  divided by `factor`
///   llama3  (Llama 3.1) waves longer than original_context / low divided by `factor`, those shorter than
///           original_context / high kept, between them interpolated by the wave's length
///   yarn    (Peng et al. 2023, https://arxiv.org/abs/2309.00071, section 3) divided by `factor` where a pair turns
///   less
///           than `slow` times in the original context, kept where more than `fast` times, between them interpolated by
///           the pair's number; magnitude 0.1 ln(factor) + 1
/// and then divided by `divisors` where those are given.
Rotation rotation(const Rope& rope);

/// The divisors that stand for llama3's scaling in a GGUF file (tensor rope_freqs.weight); empty for other scalings.
std::vector<float> frequency_divisors(const Rope& rope);

}  // namespace nibble::arch
