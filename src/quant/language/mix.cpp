// The rules of llama-quantize's named mixes, read off its behaviour: https://github.com/ggml-org/llama.cpp,
// tools/quantize.
#include "quant/language/mix.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace nibble::quant {
namespace {

using graph::Role;
using tensor::DType;

constexpr Mix kMixes[] = {
#define NIBBLE_MIX(name, base, file_type, what) {name, DType::base, file_type, what},
#include "quant/language/mixes.def"
#undef NIBBLE_MIX
};

/// The blocks whose matrices get more bits: the first and last eighth, and every third of the others.
bool is_sensitive(int64_t layer, int64_t layers) {
  const int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

}  // namespace

std::span<const Mix> all_mixes() { return kMixes; }

const Mix* find_mix(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper == "Q4_K" || upper == "Q5_K") upper += "_M";
  for (const Mix& mix : kMixes)
    if (mix.name == upper) return &mix;
  return nullptr;
}

bool fits(DType dtype, int64_t columns) { return columns % tensor::block_size(dtype).elements == 0; }

DType type_in_mix(const Mix& mix, Role role, int32_t layer, const arch::Hyperparameters& h, bool importance) {
  const bool blocked = tensor::is_blocked(mix.base);
  if (!blocked) return mix.base;
  const bool q4_k_s = mix.name == "Q4_K_S", k_m = mix.name == "Q4_K_M" || mix.name == "Q5_K_M";
  const bool iq4 = mix.base == DType::iq4_nl || mix.base == DType::iq4_xs;
  switch (role) {
    case Role::kEmbedding:
      if (!h.tied) return mix.base;
      [[fallthrough]];  // it is the output's matrix too
    case Role::kOutput:
      if (mix.base == DType::q8_0 || !fits(mix.base, h.embedding)) return DType::q8_0;
      return DType::q6_k;
    case Role::kValue:
    case Role::kQueryKeyValue: {
      DType type = mix.base;
      if (k_m && is_sensitive(layer, h.layers)) type = DType::q6_k;
      if (q4_k_s && layer < 4) type = DType::q5_k;
      if (iq4 && h.heads / h.kv_heads >= 4) type = DType::q5_k;
      if (type == DType::q4_k && h.layers == 80 && h.heads != h.kv_heads) type = DType::q5_k;  // 70 billion parameters
      return type;
    }
    case Role::kDown:
      if (k_m && is_sensitive(layer, h.layers)) return DType::q6_k;
      if (q4_k_s && layer < h.layers / 8) return DType::q5_k;
      if (iq4 && layer < h.layers / 8 && !importance) return DType::q5_k;
      if (mix.base == DType::q4_0 && layer < h.layers / 8 && importance) return DType::q4_1;
      if (mix.base == DType::q5_0 && layer < h.layers / 8 && importance) return DType::q5_1;
      return mix.base;
    default:
      return mix.base;
  }
}

DType fallback_type(DType wanted, int64_t columns) {
  DType type = DType::f16;
  if (wanted == DType::iq4_xs) type = DType::iq4_nl;
  if (wanted == DType::q4_k) type = DType::q5_0;
  if (wanted == DType::q5_k) type = DType::q5_1;
  if (wanted == DType::q6_k) type = DType::q8_0;
  return fits(type, columns) ? type : DType::f16;
}

}  // namespace nibble::quant
