#pragma once
#include "train/autograd.h"

namespace nibble::train {

std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, std::vector<ParameterGroup> groups, double momentum);

}  // namespace nibble::train
