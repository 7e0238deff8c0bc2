#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "arch/hyperparameters.h"
#include "graph/graph.h"

namespace nibble::quant {

/// A named mix of types: a row of mixes.def.
struct Mix {
  std::string_view name;
  tensor::DType base;
  uint32_t file_type;
  std::string_view what;
};
std::span<const Mix> all_mixes();
/// By name in any case ("q4_k_m"; "Q4_K" and "Q5_K" mean the M), or nullptr.
const Mix* find_mix(std::string_view name);

/// The type that users of that name expect for a matrix with this role in this block (llama-quantize's rules); sizes
/// that a type cannot have are not looked at. `importance`: an importance matrix is used.
tensor::DType type_in_mix(const Mix& mix, graph::Role role, int32_t layer, const arch::Hyperparameters& sizes,
                          bool importance);

/// The type that llama-quantize takes for a matrix whose rows of `columns` values are no whole blocks of `wanted`.
tensor::DType fallback_type(tensor::DType wanted, int64_t columns);

/// Whether rows of that many values are whole blocks.
bool fits(tensor::DType dtype, int64_t columns);

}  // namespace nibble::quant
