#include "arch/decoder.h"

#include "base/error.h"

namespace nibble::arch {

using graph::ValueId;

Hyperparameters from_config_without_windows(const Configuration& c) {
  if (c.boolean("use_sliding_window").value_or(false))
    base::fail_unsupported(c.place(), "lets some of its layers see a window only (\"use_sliding_window\")");
  return from_config(c);
}

void build_decoder(Builder& b) {
  const Hyperparameters& h = b.sizes();
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    b.enter_layer(layer);
    ValueId x = b.rms_norm(b.hidden, "attn_norm", h.embedding);
    ValueId q = b.linear(x, "attn_q", h.query_width(), h.embedding);
    ValueId k = b.linear(x, "attn_k", h.kv_width(), h.embedding);
    const ValueId v = b.linear(x, "attn_v", h.kv_width(), h.embedding);
    if (b.has("attn_q_norm")) q = b.head_norm(q, "attn_q_norm", h.heads);
    if (b.has("attn_k_norm")) k = b.head_norm(k, "attn_k_norm", h.kv_heads);
    x = b.attention(b.rotate(q), b.rotate(k), v);
    b.hidden = b.add(b.hidden, b.linear(x, "attn_output", h.embedding, h.query_width()));
    x = b.rms_norm(b.hidden, "ffn_norm", h.embedding);
    const ValueId gate = b.node("Swish", {b.linear(x, "ffn_gate", h.feed_forward, h.embedding)});
    const ValueId up = b.linear(x, "ffn_up", h.feed_forward, h.embedding);
    b.hidden = b.add(b.hidden, b.linear(b.node("Mul", {gate, up}), "ffn_down", h.embedding, h.feed_forward));
  }
  const ValueId last = b.wanted_rows();
  b.output(b.rms_norm(last, "output_norm", h.embedding));
}

}  // namespace nibble::arch
