// What the shared module shows: one function.
#include <torch/version.h>

#include "train/gradients/gradient.h"
#include "train/module/autograd.h"
#include "train/module/optimizer.h"

namespace nibble::train {
namespace {

std::span<const std::string_view> operators() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all;
    for (const Gradient& g : all_gradients()) all.push_back(g.name);
    return all;
  }();
  return names;
}

}  // namespace
}  // namespace nibble::train

extern "C" __attribute__((visibility("default"))) const nibble::train::Module* nibble_train_module() {
  using namespace nibble::train;
  static const Module module{NIBBLE_BUILD, "libtorch " TORCH_VERSION, make_autograd, make_optimizer, operators};
  return &module;
}
