// GPT-2 (Radford et al. 2019): learned positions, LayerNorm with biases, one product for queries, keys and values, GELU
// by tanh. Its folders have the matrices transposed.
#include <array>

#include "arch/builder.h"
#include "base/error.h"

namespace nibble::arch {
namespace {

using graph::Role;
using graph::ValueId;

constexpr std::array<std::string_view, 1> kClasses = {"GPT2LMHeadModel"};
constexpr TensorRule kTensors[] = {
    {"token_embd.weight", "wte.weight", Role::kEmbedding},
    {"position_embd.weight", "wpe.weight", Role::kPosition},
    {"output_norm.weight", "ln_f.weight", Role::kNorm},
    {"output_norm.bias", "ln_f.bias", Role::kBias},
    {"output.weight", "lm_head.weight", Role::kOutput, Rows::kSame, false},
    {"blk.{i}.attn_norm.weight", "h.{i}.ln_1.weight", Role::kNorm},
    {"blk.{i}.attn_norm.bias", "h.{i}.ln_1.bias", Role::kBias},
    {"blk.{i}.attn_qkv.weight", "h.{i}.attn.c_attn.weight", Role::kQueryKeyValue, Rows::kTransposed},
    {"blk.{i}.attn_qkv.bias", "h.{i}.attn.c_attn.bias", Role::kBias},
    {"blk.{i}.attn_output.weight", "h.{i}.attn.c_proj.weight", Role::kAttentionOutput, Rows::kTransposed},
    {"blk.{i}.attn_output.bias", "h.{i}.attn.c_proj.bias", Role::kBias},
    {"blk.{i}.ffn_norm.weight", "h.{i}.ln_2.weight", Role::kNorm},
    {"blk.{i}.ffn_norm.bias", "h.{i}.ln_2.bias", Role::kBias},
    {"blk.{i}.ffn_up.weight", "h.{i}.mlp.c_fc.weight", Role::kUp, Rows::kTransposed},
    {"blk.{i}.ffn_up.bias", "h.{i}.mlp.c_fc.bias", Role::kBias},
    {"blk.{i}.ffn_down.weight", "h.{i}.mlp.c_proj.weight", Role::kDown, Rows::kTransposed},
    {"blk.{i}.ffn_down.bias", "h.{i}.mlp.c_proj.bias", Role::kBias},
};

Hyperparameters from_gpt2_config(const Configuration& c) {
  const auto required = [&](const char* key) {
    const auto value = c.integer(key);
    if (!value) base::fail_malformed(c.place(), "does not say " + base::in_quotes(key));
    return *value;
  };
  Hyperparameters h;
  h.embedding = required("n_embd");
  h.layers = required("n_layer");
  h.heads = h.kv_heads = required("n_head");
  h.vocabulary = required("vocab_size");
  h.context = c.integer("n_positions").value_or(c.integer("n_ctx").value_or(1024));
  h.feed_forward = c.integer("n_inner").value_or(4 * h.embedding);
  h.norm_epsilon = c.number("layer_norm_epsilon").value_or(1e-5);
  h.tied = c.boolean("tie_word_embeddings").value_or(true);
  if (h.heads < 1 || h.embedding % h.heads != 0)
    base::fail_malformed(c.place(), "has " + std::to_string(h.heads) + " heads, which do not divide its width");
  h.head_size = h.embedding / h.heads;
  const auto activation = c.text("activation_function").value_or("gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
    base::fail_unsupported(c.place(), "has the activation " + base::in_quotes(activation) + "; gelu_new is known");
  for (const char* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"})
    if (c.boolean(key).value_or(false)) base::fail_unsupported(c.place(), "asks for " + base::in_quotes(key));
  require_sizes(h, c.place());
  return h;
}

Hyperparameters from_gpt2_metadata(const Configuration& m, std::string_view prefix, int64_t vocabulary) {
  Hyperparameters h = from_metadata(m, prefix, vocabulary);
  h.rope.dimensions = 0;
  return h;
}

void build_gpt2(Builder& b) {
  const Hyperparameters& h = b.sizes();
  b.hidden = b.add(b.hidden, b.look_up("position_embd", b.positions(), h.context, h.embedding));
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    b.enter_layer(layer);
    ValueId x = b.layer_norm(b.hidden, "attn_norm");
    const auto qkv =
        b.split(b.linear(x, "attn_qkv", 3 * h.embedding, h.embedding), {h.embedding, h.embedding, h.embedding});
    x = b.attention(qkv[0], qkv[1], qkv[2]);
    b.hidden = b.add(b.hidden, b.linear(x, "attn_output", h.embedding, h.embedding));
    x = b.linear(b.layer_norm(b.hidden, "ffn_norm"), "ffn_up", h.feed_forward, h.embedding);
    x = b.node("Gelu", {x}, {{"approximate", std::string("tanh")}});
    b.hidden = b.add(b.hidden, b.linear(x, "ffn_down", h.embedding, h.feed_forward));
  }
  const ValueId last = b.wanted_rows();
  b.output(b.layer_norm(last, "output_norm"));
}

}  // namespace

const Architecture& gpt2() {
  static const Architecture a{"gpt2",           kClasses,           "GPT-2", kTensors,
                              from_gpt2_config, from_gpt2_metadata, false,   build_gpt2};
  return a;
}

}  // namespace nibble::arch
