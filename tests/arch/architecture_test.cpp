// Architectures as a table: names of tensors, rotary frequencies, refusals. That their Graphs compute what they should
// is shown by tests/interop/language.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "arch/architecture.h"
#include "arch/rope.h"
#include "base/error.h"

namespace nibble::arch {
namespace {

using tensor::DType;
using tensor::Tensor;

/// Answers from a list.
class Listed : public Configuration {
 public:
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;
  std::map<std::string, bool> booleans;

  std::optional<int64_t> integer(std::string_view key) const override {
    const auto v = number(key);
    return v ? std::optional(static_cast<int64_t>(*v)) : std::nullopt;
  }
  std::optional<double> number(std::string_view key) const override { return find(numbers, key); }
  std::optional<bool> boolean(std::string_view key) const override { return find(booleans, key); }
  std::optional<std::string> text(std::string_view key) const override { return find(texts, key); }
  std::string place() const override { return "config.json"; }

 private:
  template <typename T>
  static std::optional<T> find(const std::map<std::string, T>& map, std::string_view key) {
    const auto it = map.find(std::string(key));
    return it == map.end() ? std::nullopt : std::optional<T>(it->second);
  }
};

Listed small_llama() {
  Listed c;
  c.numbers = {
      {"hidden_size", 8},         {"num_hidden_layers", 1}, {"intermediate_size", 16},       {"num_attention_heads", 2},
      {"num_key_value_heads", 1}, {"vocab_size", 10},       {"max_position_embeddings", 32}, {"rms_norm_eps", 1e-5}};
  return c;
}

NamedTensors small_llama_tensors() {
  NamedTensors t;
  const auto add = [&](const char* name, tensor::Shape shape) {
    t.emplace_back(name, Tensor(DType::f32, std::move(shape)));
  };
  add("model.embed_tokens.weight", {10, 8});
  add("model.norm.weight", {8});
  add("lm_head.weight", {10, 8});
  add("model.layers.0.input_layernorm.weight", {8});
  add("model.layers.0.self_attn.q_proj.weight", {8, 8});
  add("model.layers.0.self_attn.k_proj.weight", {4, 8});
  add("model.layers.0.self_attn.v_proj.weight", {4, 8});
  add("model.layers.0.self_attn.o_proj.weight", {8, 8});
  add("model.layers.0.post_attention_layernorm.weight", {8});
  add("model.layers.0.mlp.gate_proj.weight", {16, 8});
  add("model.layers.0.mlp.up_proj.weight", {16, 8});
  add("model.layers.0.mlp.down_proj.weight", {8, 16});
  return t;
}

Model build_small(const NamedTensors& tensors, const Listed& config, std::vector<std::string>& notes) {
  const Architecture& a = *find_hf_class("LlamaForCausalLM");
  return build(a, a.from_config(config), Source::kHf, tensors, "model", notes);
}

void expect_error(base::ErrorKind kind, const std::string& says, const std::function<void()>& body) {
  try {
    body();
    FAIL() << "no error; " << says << " was expected";
  } catch (const base::Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(kind)) << e.what();
    EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
  }
}

TEST(Architectures, EveryNameIsThereOnceAndEveryTensorHasARole) {
  std::set<std::string_view> names, classes;
  for (const Architecture* a : all_architectures()) {
    EXPECT_TRUE(names.insert(a->name).second);
    for (const auto c : a->hf_classes) EXPECT_TRUE(classes.insert(c).second);
    std::set<std::string_view> tensors;
    for (const TensorRule& rule : a->tensors) {
      EXPECT_TRUE(tensors.insert(rule.gguf).second) << rule.gguf;
      EXPECT_NE(rule.role, graph::Role::kNone) << rule.gguf;
      if (!rule.hf.empty()) {
        const auto hf = find_rule(*a, Source::kHf, numbered(rule.hf, 17));
        ASSERT_TRUE(hf) << rule.hf;
        EXPECT_EQ(hf->first->gguf, rule.gguf);
        EXPECT_EQ(hf->second, rule.hf.find("{i}") == std::string_view::npos ? -1 : 17);
      }
    }
  }
  EXPECT_EQ(find_architecture("mamba"), nullptr);
}

TEST(Architectures, NumbersOfBlocksAreWrittenOneWayOnly) {
  const Architecture& a = *find_architecture("llama");
  EXPECT_TRUE(find_rule(a, Source::kGguf, "blk.0.attn_q.weight"));
  for (const char* name : {"blk.00.attn_q.weight", "blk.-1.attn_q.weight", "blk..attn_q.weight", "blk.1x.attn_q.weight",
                           "blk.99999999999.attn_q.weight", "blk.0.attn_q.weight.x", "attn_q.weight"})
    EXPECT_FALSE(find_rule(a, Source::kGguf, name)) << name;
}

TEST(Architectures, ASmallModelHasItsConstantsWithRolesAndLayers) {
  std::vector<std::string> notes;
  const Model m = build_small(small_llama_tensors(), small_llama(), notes);
  const auto& q = m.graph.value(m.graph.find_value("blk.0.attn_q.weight"));
  EXPECT_EQ(q.role, graph::Role::kQuery);
  EXPECT_EQ(q.layer, 0);
  EXPECT_EQ(m.graph.value(m.graph.find_value("output.weight")).role, graph::Role::kOutput);
  EXPECT_FALSE(m.sizes.tied);
  EXPECT_EQ(m.rows.at("blk.0.attn_k.weight"), Rows::kKeyPairs);
  EXPECT_TRUE(notes.empty());
}

TEST(Architectures, RefusesModelsThatAreNotWhatTheySay) {
  std::vector<std::string> notes;
  NamedTensors missing = small_llama_tensors();
  missing.erase(missing.begin() + 5);
  expect_error(base::ErrorKind::kMalformed, "blk.0.attn_k.weight", [&] { build_small(missing, small_llama(), notes); });
  NamedTensors shape = small_llama_tensors();
  shape[9].second = Tensor(DType::f32, {17, 8});
  expect_error(base::ErrorKind::kMalformed, "[16,8] was expected", [&] { build_small(shape, small_llama(), notes); });
  NamedTensors integers = small_llama_tensors();
  integers[1].second = Tensor(DType::i8, {8});
  expect_error(base::ErrorKind::kUnsupported, "elements of type i8",
               [&] { build_small(integers, small_llama(), notes); });
  NamedTensors more = small_llama_tensors();
  more.emplace_back("model.layers.0.self_attn.sinks", Tensor(DType::f32, {2}));
  expect_error(base::ErrorKind::kUnsupported, "sinks", [&] { build_small(more, small_llama(), notes); });
  NamedTensors layer = small_llama_tensors();
  layer.emplace_back("model.layers.1.mlp.up_proj.weight", Tensor(DType::f32, {16, 8}));
  expect_error(base::ErrorKind::kUnsupported, "layers.1.mlp", [&] { build_small(layer, small_llama(), notes); });
}

TEST(Architectures, RefusesConfigurationsThatItWouldComputeWrongly) {
  const auto refuse = [](base::ErrorKind kind, const std::string& says, const std::function<void(Listed&)>& change) {
    Listed c = small_llama();
    change(c);
    expect_error(kind, says, [&] { find_hf_class("LlamaForCausalLM")->from_config(c); });
  };
  using base::ErrorKind;
  refuse(ErrorKind::kMalformed, "hidden_size", [](Listed& c) { c.numbers.erase("hidden_size"); });
  refuse(ErrorKind::kMalformed, "heads", [](Listed& c) { c.numbers["num_attention_heads"] = 3; });
  refuse(ErrorKind::kMalformed, "layers", [](Listed& c) { c.numbers["num_hidden_layers"] = 1e9; });
  refuse(ErrorKind::kMalformed, "heads", [](Listed& c) { c.numbers["num_attention_heads"] = 0; });
  refuse(ErrorKind::kMalformed, "vocab", [](Listed& c) { c.numbers.erase("vocab_size"); });
  refuse(ErrorKind::kUnsupported, "gelu", [](Listed& c) { c.texts["hidden_act"] = "gelu"; });
  refuse(ErrorKind::kUnsupported, "dynamic", [](Listed& c) { c.texts["rope_scaling.type"] = "dynamic"; });
  refuse(ErrorKind::kMalformed, "epsilon", [](Listed& c) { c.numbers["rms_norm_eps"] = NAN; });
  refuse(ErrorKind::kMalformed, "scales", [](Listed& c) {
    c.texts["rope_scaling.rope_type"] = "linear";
    c.numbers["rope_scaling.factor"] = 0;
  });
}

TEST(Rope, FrequenciesAndTheirScalings) {
  Rope rope{.dimensions = 8, .base = 10000, .divisors = {}};
  const Rotation plain = rotation(rope);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(plain.frequencies[i], static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / 4)));
  rope.scaling = Rope::Scaling::kLinear;
  rope.factor = 4;
  EXPECT_FLOAT_EQ(rotation(rope).frequencies[1], plain.frequencies[1] / 4);
  rope.scaling = Rope::Scaling::kLlama3;
  rope.factor = 8;
  rope.original_context = 64;
  const Rotation llama3 = rotation(rope);
  EXPECT_FLOAT_EQ(llama3.frequencies[0], 1);                         // a wave of 6.3 < 64 / 4 is kept
  EXPECT_FLOAT_EQ(llama3.frequencies[3], plain.frequencies[3] / 8);  // one of 6283 > 64 is stretched
  Rope listed{.dimensions = 8, .base = 10000, .divisors = frequency_divisors(rope)};
  EXPECT_EQ(rotation(listed).frequencies, llama3.frequencies);  // what a GGUF file says instead
  rope.scaling = Rope::Scaling::kYarn;
  EXPECT_FLOAT_EQ(rotation(rope).magnitude, static_cast<float>(0.1 * std::log(8.0) + 1));
}

TEST(Rope, RowsOfPairsAreAPermutation) {
  Hyperparameters h;
  h.head_size = 6;
  std::set<int64_t> rows;
  for (int64_t r = 0; r < 12; ++r) rows.insert(source_row(h, r));
  EXPECT_EQ(rows.size(), 12u);
  EXPECT_EQ(source_row(h, 0), 0);
  EXPECT_EQ(source_row(h, 1), 3);  // the second half's first row comes second
  EXPECT_EQ(source_row(h, 2), 1);
  EXPECT_EQ(source_row(h, 7), 9);
}

}  // namespace
}  // namespace nibble::arch
