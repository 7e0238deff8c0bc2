#pragma once
#include "graph/graph.h"

namespace nibble::train {

/// Makes every scale of a BatchNormalization after a convolution positive, by turning the sign of the convolution's
/// output channel around with it: an equal network, whose normalisations can later be folded into codes. Float Graphs.
/// Returns how many channels were turned.
int64_t make_scales_positive(graph::Graph& graph);

/// Folds BatchNormalization into the quantized convolution before it: scales (and offsets) of its weight are multiplied
/// by scale / sqrt(variance + epsilon), codes and zero points stay what they are, and the shift becomes the bias. What
/// cannot be folded (no convolution before it, another reader between them, a scale that is not positive) stays.
/// Returns how many were folded.
int64_t fold_into_codes(graph::Graph& graph);

}  // namespace nibble::train
