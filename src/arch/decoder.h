#pragma once
#include "arch/builder.h"

namespace nibble::arch {

/// The names of the tensors of a decoder with rotary positions, RMS norms and a gated feed-forward part: what Llama,
/// Mistral and Qwen share. The biases are there in some families.
#define NIBBLE_DECODER_TENSORS(query_rows, key_rows)                                                           \
  {"token_embd.weight", "model.embed_tokens.weight", Role::kEmbedding},                                        \
      {"output_norm.weight", "model.norm.weight", Role::kNorm},                                                \
      {"output.weight", "lm_head.weight", Role::kOutput, Rows::kSame, false},                                  \
      {"rope_freqs.weight", "", Role::kRopeFactors, Rows::kSame, false},                                       \
      {"blk.{i}.attn_norm.weight", "model.layers.{i}.input_layernorm.weight", Role::kNorm},                    \
      {"blk.{i}.attn_q.weight", "model.layers.{i}.self_attn.q_proj.weight", Role::kQuery, query_rows},         \
      {"blk.{i}.attn_q.bias", "model.layers.{i}.self_attn.q_proj.bias", Role::kBias, query_rows, false},       \
      {"blk.{i}.attn_k.weight", "model.layers.{i}.self_attn.k_proj.weight", Role::kKey, key_rows},             \
      {"blk.{i}.attn_k.bias", "model.layers.{i}.self_attn.k_proj.bias", Role::kBias, key_rows, false},         \
      {"blk.{i}.attn_v.weight", "model.layers.{i}.self_attn.v_proj.weight", Role::kValue},                     \
      {"blk.{i}.attn_v.bias", "model.layers.{i}.self_attn.v_proj.bias", Role::kBias, Rows::kSame, false},      \
      {"blk.{i}.attn_output.weight", "model.layers.{i}.self_attn.o_proj.weight", Role::kAttentionOutput},      \
      {"blk.{i}.attn_output.bias", "model.layers.{i}.self_attn.o_proj.bias", Role::kBias, Rows::kSame, false}, \
      {"blk.{i}.ffn_norm.weight", "model.layers.{i}.post_attention_layernorm.weight", Role::kNorm},            \
      {"blk.{i}.ffn_gate.weight", "model.layers.{i}.mlp.gate_proj.weight", Role::kGate},                       \
      {"blk.{i}.ffn_gate.bias", "model.layers.{i}.mlp.gate_proj.bias", Role::kBias, Rows::kSame, false},       \
      {"blk.{i}.ffn_up.weight", "model.layers.{i}.mlp.up_proj.weight", Role::kUp},                             \
      {"blk.{i}.ffn_up.bias", "model.layers.{i}.mlp.up_proj.bias", Role::kBias, Rows::kSame, false},           \
      {"blk.{i}.ffn_down.weight", "model.layers.{i}.mlp.down_proj.weight", Role::kDown}, {                     \
    "blk.{i}.ffn_down.bias", "model.layers.{i}.mlp.down_proj.bias", Role::kBias, Rows::kSame, false            \
  }

/// from_config, refusing models of which some layers see a window only ("use_sliding_window").
Hyperparameters from_config_without_windows(const Configuration& config);

/// hidden += attention(norm(hidden)); hidden += down(silu(gate(x)) * up(x)) with x = norm(hidden), in every block; then
/// the last norm and the output. Queries and keys are normed by head where the file has attn_q_norm and attn_k_norm.
void build_decoder(Builder& b);

}  // namespace nibble::arch
