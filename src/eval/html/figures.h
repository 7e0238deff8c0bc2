#pragma once
#include <string>
#include <string_view>

#include "eval/weights.h"

namespace nibble::eval::html {

/// A bar of `share` in [0, 1] of the width; `css` names its colour. `label` is what a screen reader says.
std::string bar(double share, std::string_view css, std::string_view label, int height = 10);

/// The class of the colour for a width in bits: "b4", "b8" or "wide".
std::string_view bits_class(int bits);

/// The distribution of a layer's float weights with the levels drawn in, and below it the range of every output
/// channel.
std::string histogram(const WeightHistogram& h, std::string_view label);
/// What the picture shows, as text.
std::string histogram_caption(const WeightError& error, const WeightHistogram& h);

}  // namespace nibble::eval::html
