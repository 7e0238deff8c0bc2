#include "model/language/metadata.h"

#include <cmath>

namespace nibble::model {
namespace {

void set_rope(const arch::Hyperparameters& h, const std::string& prefix, io::gguf::Metadata& m) {
  const arch::Rope& rope = h.rope;
  if (rope.dimensions == 0) return;
  m.set(prefix + "rope.dimension_count", static_cast<uint32_t>(rope.dimensions));
  m.set(prefix + "rope.freq_base", static_cast<float>(rope.base));
  if (rope.scaling == arch::Rope::Scaling::kLinear) {
    m.set(prefix + "rope.scaling.type", std::string("linear"));
    m.set(prefix + "rope.scaling.factor", static_cast<float>(rope.factor));
  }
  if (rope.scaling == arch::Rope::Scaling::kYarn) {
    m.set(prefix + "rope.scaling.type", std::string("yarn"));
    m.set(prefix + "rope.scaling.factor", static_cast<float>(rope.factor));
    m.set(prefix + "rope.scaling.original_context_length", static_cast<uint32_t>(rope.original_context));
    if (rope.fast != 32) m.set(prefix + "rope.scaling.yarn_beta_fast", static_cast<float>(rope.fast));
    if (rope.slow != 1) m.set(prefix + "rope.scaling.yarn_beta_slow", static_cast<float>(rope.slow));
    if (rope.magnitude > 0)
      m.set(prefix + "rope.scaling.attn_factor",
            static_cast<float>(rope.magnitude / (0.1 * std::log(rope.factor) + 1)));
  }
}

}  // namespace

std::string size_label(int64_t parameters) {
  const auto rounded = [](double value, const char* unit) {
    const std::string text =
        value < 9.95 && std::fabs(value - std::round(value)) >= 0.05
            ? std::to_string(static_cast<int64_t>(value)) + "." + std::to_string(std::llround(value * 10) % 10)
            : std::to_string(std::llround(value));
    return text + unit;
  };
  if (parameters < 999'500) return rounded(static_cast<double>(parameters) / 1e3, "K");
  if (parameters < 999'500'000) return rounded(static_cast<double>(parameters) / 1e6, "M");
  return rounded(static_cast<double>(parameters) / 1e9, "B");
}

io::gguf::Metadata gguf_metadata(const LanguageModel& model, std::vector<std::string>& notes) {
  if (!model.is_folder()) return model.metadata;
  const arch::Hyperparameters& h = model.model.sizes;
  io::gguf::Metadata m;
  const std::string architecture(model.model.architecture->name), prefix = architecture + ".";
  m.set("general.architecture", architecture);
  m.set("general.type", std::string("model"));
  m.set("general.name", model.name);
  m.set("general.size_label", size_label(parameter_count(model.model)));
  m.set(prefix + "block_count", static_cast<uint32_t>(h.layers));
  m.set(prefix + "context_length", static_cast<uint32_t>(h.context));
  m.set(prefix + "embedding_length", static_cast<uint32_t>(h.embedding));
  m.set(prefix + "feed_forward_length", static_cast<uint32_t>(h.feed_forward));
  m.set(prefix + "attention.head_count", static_cast<uint32_t>(h.heads));
  const bool learned_positions = h.rope.dimensions == 0;
  if (!learned_positions) {
    m.set(prefix + "attention.head_count_kv", static_cast<uint32_t>(h.kv_heads));
    m.set(prefix + "attention.key_length", static_cast<uint32_t>(h.head_size));
    m.set(prefix + "attention.value_length", static_cast<uint32_t>(h.head_size));
    m.set(prefix + "vocab_size", static_cast<uint32_t>(h.vocabulary));
  }
  m.set(prefix + (learned_positions ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
        static_cast<float>(h.norm_epsilon));
  set_rope(h, prefix, m);
  if (h.window > 0) {
    m.set(prefix + "attention.sliding_window", static_cast<uint32_t>(h.window));
    notes.push_back(
        "tokens of this model see " + std::to_string(h.window) +
        " positions only; llama.cpp does not apply that for its architecture, so that longer texts differ there");
  }
  io::write_gguf_vocabulary(model.vocabulary, m, h.vocabulary);
  return m;
}

}  // namespace nibble::model
