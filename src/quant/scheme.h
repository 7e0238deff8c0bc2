#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "fit/clip/rule.h"
#include "fit/grid.h"
#include "fit/round/method.h"
#include "quant/prepare/prepare.h"

namespace nibble::quant {

/// Which places of the network get quantized activations.
enum class Positions : uint8_t {
  kCompute,  ///< inputs of quantized convolutions and products
  kAll,      ///< those, and both inputs of residual additions
};

/// A rule that leaves layers wider than the scheme: `first`, `last`, `depthwise`, or the name of a node or weight.
struct Keep {
  std::string layers;
  int bits = 8;  ///< 8, or 16 for floats
  bool operator==(const Keep&) const = default;
};

/// What the user asked for. Parses from and prints to the same short text: a base name, then after a colon what differs
/// from it: `W4A8`, `W4A16:int4,group=64,clip=minmax`.
///
///   W4A16  uint4 affine in groups of 32, activations stay floats, clip mse
///   W4A8   int4 symmetric per output channel, activations uint8 affine per tensor, static, clip mse
///   W4A4   W4A8 with uint4 activations
///   W8A16, W8A8  the same with int8 symmetric per output channel
///
/// Keys: a number format's name; map=; group=N|channel|tensor; clip=; act-clip=; round=; percentile=;
/// bias-correction=on|off; positions=; prepare=NAME (again for each preparation; none forgets those before);
/// keep=LAYERS[:BITS] (again for each rule).
struct Scheme {
  std::string base;  ///< "W4A16", ...
  fit::Grid weights;
  int64_t group = 0;  ///< values that share a scale along the reduction axis; 0: a whole output channel
  bool per_tensor = false;
  int activation_bits = 16;  ///< 16 (floats), 8 or 4
  const fit::ClipRule* clip = nullptr;
  const fit::ClipRule* activation_clip = nullptr;
  const fit::RoundMethod* round = nullptr;
  double percentile = 99.99;
  bool correct_bias =
      true;  ///< with calibration data: take back from biases what quantized weights add to the mean output
  Positions positions = Positions::kCompute;
  std::vector<const Preparation*> preparations;  ///< chosen ones, beside those that always run
  std::vector<Keep> keep;
};

/// Throws Error(kUsage) naming the part that is not understood and what would be.
Scheme parse_scheme(std::string_view text);

/// Applies one more `key=value` (or format name) to a scheme: what the command line's own flags do.
void set_option(Scheme& scheme, std::string_view option);

/// The whole scheme spelled out, every key present; parse_scheme reads it back to an equal one.
std::string to_text(const Scheme& scheme);

/// The names of the chosen preparations, "equalize": what a Calibration keeps as `prepared`. Empty without any.
std::string preparations_text(const Scheme& scheme);

/// The grid of quantized activations: unsigned, affine, per tensor, scale in f32.
fit::Grid activation_grid(int bits);

}  // namespace nibble::quant
