// Qwen2 and Qwen2.5 (Yang et al. 2024, https://arxiv.org/abs/2407.10671): Llama's blocks with biases on queries, keys
// and values.
#include <array>

#include "arch/decoder.h"

namespace nibble::arch {
namespace {

using graph::Role;

constexpr std::array<std::string_view, 1> kClasses = {"Qwen2ForCausalLM"};
constexpr TensorRule kTensors[] = {NIBBLE_DECODER_TENSORS(Rows::kSame, Rows::kSame)};

}  // namespace

const Architecture& qwen2() {
  static const Architecture a{"qwen2",       kClasses, "Qwen2, Qwen2.5", kTensors, from_config_without_windows,
                              from_metadata, false,    build_decoder};
  return a;
}

}  // namespace nibble::arch
