// Llama 2 and 3, Mistral, SmolLM2 and whatever else has their shape (Touvron et al. 2023,
// https://arxiv.org/abs/2302.13971): GGUF files interleave the halves of query and key heads.
#include <array>

#include "arch/decoder.h"

namespace nibble::arch {
namespace {

using graph::Role;

constexpr std::array<std::string_view, 2> kClasses = {"LlamaForCausalLM", "MistralForCausalLM"};
constexpr TensorRule kTensors[] = {NIBBLE_DECODER_TENSORS(Rows::kQueryPairs, Rows::kKeyPairs)};

/// Mistral's first version lets a token see the last 4096 only.
Hyperparameters from_llama_config(const Configuration& c) {
  Hyperparameters h = from_config(c);
  if (const auto window = c.integer("sliding_window")) h.window = *window;
  require_sizes(h, c.place());
  return h;
}

}  // namespace

const Architecture& llama() {
  static const Architecture a{"llama",  kClasses,          "Llama 2 and 3, Mistral, SmolLM2",
                              kTensors, from_llama_config, from_metadata,
                              true,     build_decoder};
  return a;
}

}  // namespace nibble::arch
