#include "arch/hyperparameters.h"

#include <cmath>

#include "base/error.h"

namespace nibble::arch {
namespace {

int64_t required(const Configuration& c, const std::string& key) {
  const auto value = c.integer(key);
  if (!value) base::fail_malformed(c.place(), "does not say " + base::in_quotes(key));
  return *value;
}

/// transformers 5 writes rope_parameters, earlier ones rope_scaling and rope_theta.
Rope rope_from_config(const Configuration& c, int64_t head_size, int64_t context) {
  Rope rope;
  const std::string prefix = c.text("rope_parameters.rope_type") || c.number("rope_parameters.rope_theta")
                                 ? "rope_parameters."
                                 : "rope_scaling.";
  rope.base = c.number("rope_parameters.rope_theta").value_or(c.number("rope_theta").value_or(10000));
  const double part =
      c.number("rope_parameters.partial_rotary_factor").value_or(c.number("partial_rotary_factor").value_or(1));
  if (!(part > 0 && part <= 1)) base::fail_malformed(c.place(), "\"partial_rotary_factor\" is not in (0, 1]");
  rope.dimensions = static_cast<int64_t>(static_cast<double>(head_size) * part);
  const std::string type = c.text(prefix + "rope_type").value_or(c.text(prefix + "type").value_or("default"));
  if (type == "default") return rope;
  rope.factor = c.number(prefix + "factor").value_or(1);
  rope.original_context = c.integer(prefix + "original_max_position_embeddings").value_or(context);
  if (type == "linear") {
    rope.scaling = Rope::Scaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = Rope::Scaling::kLlama3;
    rope.low = c.number(prefix + "low_freq_factor").value_or(1);
    rope.high = c.number(prefix + "high_freq_factor").value_or(4);
  } else if (type == "yarn") {
    rope.scaling = Rope::Scaling::kYarn;
    rope.fast = c.number(prefix + "beta_fast").value_or(32);
    rope.slow = c.number(prefix + "beta_slow").value_or(1);
    rope.magnitude = c.number(prefix + "attention_factor").value_or(0);
    for (const char* key : {"mscale", "mscale_all_dim"})
      if (c.number(prefix + key))
        base::fail_unsupported(c.place(), "scales rotary embeddings with " + base::in_quotes(key));
  } else {
    base::fail_unsupported(
        c.place(), "scales rotary embeddings by " + base::in_quotes(type) + "; linear, llama3 and yarn are known");
  }
  return rope;
}

Rope rope_from_metadata(const Configuration& m, const std::string& prefix, int64_t head_size, int64_t context) {
  Rope rope;
  rope.dimensions = m.integer(prefix + "rope.dimension_count").value_or(head_size);
  rope.base = m.number(prefix + "rope.freq_base").value_or(10000);
  const std::string type = m.text(prefix + "rope.scaling.type").value_or("none");
  if (type == "none") return rope;
  rope.factor = m.number(prefix + "rope.scaling.factor").value_or(1);
  rope.original_context = m.integer(prefix + "rope.scaling.original_context_length").value_or(context);
  if (type == "linear") {
    rope.scaling = Rope::Scaling::kLinear;
  } else if (type == "yarn") {
    rope.scaling = Rope::Scaling::kYarn;
    rope.fast = m.number(prefix + "rope.scaling.yarn_beta_fast").value_or(32);
    rope.slow = m.number(prefix + "rope.scaling.yarn_beta_slow").value_or(1);
    if (const auto times = m.number(prefix + "rope.scaling.attn_factor"))  // of the default
      rope.magnitude = *times * (0.1 * std::log(rope.factor) + 1);
  } else {
    base::fail_unsupported(m.place(),
                           "scales rotary embeddings by " + base::in_quotes(type) + "; linear and yarn are known");
  }
  return rope;
}

}  // namespace

void require_sizes(const Hyperparameters& h, const std::string& place) {
  const auto require = [&](bool condition, const std::string& sentence) {
    if (!condition) base::fail_malformed(place, sentence);
  };
  const auto in_reason = [&](int64_t size, int64_t most, const char* what) {
    require(size >= 1 && size <= most, std::string("says that ") + what + " is " + std::to_string(size));
  };
  in_reason(h.layers, 4096, "the number of layers");
  in_reason(h.embedding, 1 << 20, "the width");
  in_reason(h.feed_forward, 1 << 24, "the feed-forward width");
  in_reason(h.heads, 1 << 16, "the number of heads");
  in_reason(h.kv_heads, h.heads, "the number of key heads");
  in_reason(h.head_size, 1 << 16, "the size of a head");
  in_reason(h.vocabulary, 1 << 24, "the number of tokens");
  in_reason(h.context, int64_t{1} << 40, "the context");
  require(h.heads % h.kv_heads == 0, "has " + std::to_string(h.heads) + " heads, which " + std::to_string(h.kv_heads) +
                                         " key heads do not divide");
  require(h.norm_epsilon > 0 && h.norm_epsilon < 1,
          "says that the norms' epsilon is " + std::to_string(h.norm_epsilon));
  require(h.window >= 0, "has a window of " + std::to_string(h.window));
  require(
      h.rope.dimensions >= 0 && h.rope.dimensions <= h.head_size && h.rope.dimensions % 2 == 0,
      "turns " + std::to_string(h.rope.dimensions) + " of the " + std::to_string(h.head_size) + " elements of a head");
  require(h.rope.base > 1 && h.rope.base < 1e18, "has a rotary base of " + std::to_string(h.rope.base));
  require(h.rope.factor >= 1 && h.rope.factor < 1e9, "scales rotary embeddings by " + std::to_string(h.rope.factor));
  const bool needs_original = h.rope.scaling == Rope::Scaling::kLlama3 || h.rope.scaling == Rope::Scaling::kYarn;
  require(!needs_original || h.rope.original_context >= 1, "does not say the context before scaling");
  require(h.rope.low > 0 && h.rope.high > h.rope.low, "has factors of rotary scaling that are not in order");
  require(h.rope.slow > 0 && h.rope.fast > h.rope.slow, "has betas of rotary scaling that are not in order");
  require(h.rope.magnitude >= 0 && h.rope.magnitude < 1e6,
          "has an attention factor of " + std::to_string(h.rope.magnitude));
}

Hyperparameters from_config(const Configuration& c) {
  Hyperparameters h;
  h.embedding = required(c, "hidden_size");
  h.layers = required(c, "num_hidden_layers");
  h.feed_forward = required(c, "intermediate_size");
  h.heads = required(c, "num_attention_heads");
  h.vocabulary = required(c, "vocab_size");
  h.context = c.integer("max_position_embeddings").value_or(2048);
  h.kv_heads = c.integer("num_key_value_heads").value_or(h.heads);
  h.norm_epsilon = c.number("rms_norm_eps").value_or(1e-6);
  h.tied = c.boolean("tie_word_embeddings").value_or(false);
  if (const auto size = c.integer("head_dim"))
    h.head_size = *size;
  else if (h.heads > 0 && h.embedding % h.heads == 0)
    h.head_size = h.embedding / h.heads;
  else
    base::fail_malformed(c.place(), "has " + std::to_string(h.heads) + " heads, which do not divide its width");
  h.rope = rope_from_config(c, h.head_size, h.context);
  if (const auto activation = c.text("hidden_act"); activation && *activation != "silu")
    base::fail_unsupported(c.place(), "has the activation " + base::in_quotes(*activation) + "; silu is known");
  require_sizes(h, c.place());
  return h;
}

Hyperparameters from_metadata(const Configuration& m, std::string_view architecture, int64_t vocabulary) {
  const std::string prefix = std::string(architecture) + ".";
  Hyperparameters h;
  h.context = required(m, prefix + "context_length");
  h.embedding = required(m, prefix + "embedding_length");
  h.layers = required(m, prefix + "block_count");
  h.feed_forward = required(m, prefix + "feed_forward_length");
  h.heads = required(m, prefix + "attention.head_count");
  h.kv_heads = m.integer(prefix + "attention.head_count_kv").value_or(h.heads);
  h.vocabulary = vocabulary;
  if (const auto size = m.integer(prefix + "attention.key_length"))
    h.head_size = *size;
  else if (h.heads > 0 && h.embedding % h.heads == 0)
    h.head_size = h.embedding / h.heads;
  else
    base::fail_malformed(m.place(), "has " + std::to_string(h.heads) + " heads, which do not divide its width");
  if (const auto size = m.integer(prefix + "attention.value_length"); size && *size != h.head_size)
    base::fail_unsupported(m.place(), "has keys and values of different size");
  const auto epsilon = m.number(prefix + "attention.layer_norm_rms_epsilon");
  h.norm_epsilon = epsilon ? *epsilon : m.number(prefix + "attention.layer_norm_epsilon").value_or(0);
  h.window = m.integer(prefix + "attention.sliding_window").value_or(0);
  h.rope = rope_from_metadata(m, prefix, h.head_size, h.context);
  require_sizes(h, m.place());
  return h;
}

}  // namespace nibble::arch
