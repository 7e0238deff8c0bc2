#pragma once
#include <string>

#include "quant/plan/plan.h"

namespace nibble::quant {

/// Looks whether the layer's weight already lies on a lattice of its format and granularity (fit::find_lattice), as the
/// weights of a network do that was trained for 4 bits elsewhere. If so the layer keeps the parameters found: no range
/// is searched, its bias is not corrected, and its scales are stored as f32 where f16 would change the weight. Says so
/// in the layer's note. `weight` is the float tensor; a layer of other than 4 bits stays as it is.
void find_lattice(LayerPlan& layer, const tensor::Tensor& weight);

/// "12 of 20 weights lie on a 4-bit lattice already: kept as they are", and how exactly; empty where none does.
std::string lattice_text(const Plan& plan);

}  // namespace nibble::quant
