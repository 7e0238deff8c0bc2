// Qwen3 (Yang et al. 2025, https://arxiv.org/abs/2505.09388): Llama's blocks with a norm over each head of queries and
// keys.
#include <array>

#include "arch/decoder.h"

namespace nibble::arch {
namespace {

using graph::Role;

constexpr std::array<std::string_view, 1> kClasses = {"Qwen3ForCausalLM"};
constexpr TensorRule kTensors[] = {
    NIBBLE_DECODER_TENSORS(Rows::kSame, Rows::kSame),
    {"blk.{i}.attn_q_norm.weight", "model.layers.{i}.self_attn.q_norm.weight", Role::kNorm},
    {"blk.{i}.attn_k_norm.weight", "model.layers.{i}.self_attn.k_norm.weight", Role::kNorm},
};

}  // namespace

const Architecture& qwen3() {
  static const Architecture a{"qwen3",       kClasses, "Qwen3",      kTensors, from_config_without_windows,
                              from_metadata, false,    build_decoder};
  return a;
}

}  // namespace nibble::arch
