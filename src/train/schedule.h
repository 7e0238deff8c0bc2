#pragma once
#include <cstdint>

namespace nibble::train {

/// How training turns from floats to the bits that are asked for.
enum class Gradual : uint8_t {
  kNone,         ///< all bits from the first step
  kActivations,  ///< weights first, activations are floats for a while
  kBits,         ///< 8 bits for a while, then those asked for
  kFloat,        ///< floats for a while: for networks that start from random weights
};

/// What becomes of the learning rate once it has risen.
enum class Schedule : uint8_t {
  kCosine,    ///< falls as half a cosine to nothing (Loshchilov and Hutter, "SGDR", 2017)
  kConstant,  ///< stays
};

/// The learning rate as a share of its highest value, for a step of `steps`: rises evenly over the first `warm_up`
/// (a share of all steps), then follows `schedule`.
double learning_rate_share(int64_t step, int64_t steps, double warm_up, Schedule schedule);

/// Rises as half a cosine from 0 to 1 between the share `from` of the steps and the end.
double rising_share(int64_t step, int64_t steps, double from);

}  // namespace nibble::train
