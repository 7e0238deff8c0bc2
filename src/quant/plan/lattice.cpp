#include "quant/plan/lattice.h"

#include "fit/lattice.h"

namespace nibble::quant {
namespace {

std::string type_of(int precision) {
  return precision == 24 ? "32-bit floats" : precision == 11 ? "16-bit floats" : "bfloat16";
}

}  // namespace

void find_lattice(LayerPlan& layer, const tensor::Tensor& weight) {
  if (layer.bits != 4) return;
  auto found = fit::find_lattice(matrix_of(layer, weight), layer.grid, layer.group, layer.per_tensor);
  if (!found) return;
  layer.grid.stored_as = found->stored_as;
  const std::string all = std::to_string(found->params.size());
  layer.note += (layer.note.empty() ? "" : "; ") + std::string("lies on a 4-bit lattice already, kept as it is: ") +
                (found->is_exact() ? "every value is exact"
                                   : std::to_string(found->exact) + " of " + all + " scales are exact, the others " +
                                         "within the rounding of " + type_of(found->precision));
  layer.lattice = std::make_shared<const fit::Lattice>(*std::move(found));
}

std::string lattice_text(const Plan& plan) {
  int64_t on = 0, exact = 0, quantized = 0;
  for (const LayerPlan& layer : plan.layers) {
    quantized += layer.bits < 16;
    on += layer.lattice != nullptr;
    exact += layer.lattice && layer.lattice->is_exact();
  }
  if (on == 0) return {};
  std::string text = std::to_string(on) + " of " + std::to_string(quantized) +
                     (on == 1 ? " weights lies" : " weights lie") + " on a 4-bit lattice already: kept as " +
                     (on == 1 ? "it is" : "they are");
  if (exact < on)
    text += " (" + std::to_string(exact) + " to the last bit, the others within the rounding of their floats)";
  return text;
}

}  // namespace nibble::quant
