#pragma once
#include "train/autograd.h"

namespace nibble::train {

std::unique_ptr<Autograd> make_autograd(TrainableGraph graph);

}  // namespace nibble::train
