#include "train/gradients/gradient.h"

#include <array>

namespace nibble::train {

std::span<const Gradient> all_gradients() {
  static const auto table = std::to_array<Gradient>({
#define NIBBLE_GRADIENT(function, onnx_name, ...) {onnx_name, "", follow_##function},
#include "train/gradients.def"
#undef NIBBLE_GRADIENT
  });
  return table;
}

const Gradient* find_gradient(std::string_view name, std::string_view domain) {
  for (const Gradient& g : all_gradients())
    if (g.name == name && g.domain == domain) return &g;
  return nullptr;
}

const at::Tensor& Step::input(size_t i) const {
  if (!has(i)) base::fail_malformed(node_.describe(), "its input " + std::to_string(i) + " is missing");
  return inputs_[i];
}

std::vector<int64_t> Step::integers(size_t i) const {
  const at::Tensor t = input(i).to(at::kLong).contiguous().reshape(-1);
  return {t.data_ptr<int64_t>(), t.data_ptr<int64_t>() + t.numel()};
}

void Step::unsupported(const std::string& sentence) const { base::fail_unsupported(node_.describe(), sentence); }

int64_t Step::axis(int64_t given, int64_t rank) const {
  if (given < -rank || given >= rank)
    base::fail_malformed(node_.describe(),
                         "its axis " + std::to_string(given) + " is outside rank " + std::to_string(rank));
  return given < 0 ? given + rank : given;
}

}  // namespace nibble::train
