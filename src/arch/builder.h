#pragma once
#include <map>
#include <string>
#include <string_view>

#include "arch/architecture.h"

namespace nibble::arch {

/// Makes a Graph out of the blocks that language models share. Weights are asked for by GGUF's name without ".weight"
/// or ".bias"; after `enter_layer(i)` "blk.{i}." comes before it.
class Builder {
 public:
  struct Weight {
    tensor::Tensor tensor;
    const TensorRule* rule = nullptr;
    int32_t layer = -1;
  };
  using ValueId = graph::ValueId;

  Builder(const Architecture& architecture, Hyperparameters sizes, Source source, std::map<std::string, Weight> weights,
          std::string place);

  const Hyperparameters& sizes() const { return model_.sizes; }
  /// Names asked for from now on belong to this block.
  void enter_layer(int64_t layer) { layer_ = static_cast<int32_t>(layer); }

  /// The hidden states [T, embedding]: at first the embedded tokens. Blocks replace it.
  ValueId hidden = graph::kNoValue;
  ValueId positions() const { return positions_; }

  /// Whether the file has `stem` + ".weight" (inside the current block).
  bool has(std::string_view stem) const;

  /// x W^T + bias, the bias where the file has one. W is [rows, columns].
  ValueId linear(ValueId x, std::string_view stem, int64_t rows, int64_t columns);
  /// x / rms(x) * weight over the last `width` elements.
  ValueId rms_norm(ValueId x, std::string_view stem, int64_t width);
  /// The same for each head of x [T, heads * head_size].
  ValueId head_norm(ValueId x, std::string_view stem, int64_t heads);
  /// LayerNormalization with weight and bias.
  ValueId layer_norm(ValueId x, std::string_view stem);
  ValueId rotate(ValueId x);
  ValueId attention(ValueId q, ValueId k, ValueId v);
  /// Rows of the table `stem` by number.
  ValueId look_up(std::string_view stem, ValueId numbers, int64_t entries, int64_t width);
  ValueId add(ValueId a, ValueId b) { return node("Add", {a, b}); }
  /// A node of one output.
  ValueId node(const std::string& op, std::vector<ValueId> inputs,
               std::map<std::string, graph::Attribute> attributes = {}, const std::string& domain = "");
  std::vector<ValueId> split(ValueId x, const std::vector<int64_t>& widths);

  /// The hidden states of the wanted rows only, as every architecture needs them before its last norm.
  ValueId wanted_rows();
  /// The logits from normed hidden states.
  void output(ValueId x);

  Model finish();

 private:
  std::string full_name(std::string_view stem, std::string_view suffix) const;
  const Weight* find(const std::string& name) const;
  /// The constant of that name, which must have this shape; vectors become f32.
  ValueId constant(const std::string& name, const tensor::Shape& shape);
  ValueId input(const std::string& name, const std::string& size);

  Model model_;
  std::map<std::string, Weight> weights_;
  std::map<std::string, ValueId> made_;
  std::string place_;
  int32_t layer_ = -1;
  ValueId tokens_, positions_, sequences_, rows_, frequencies_ = graph::kNoValue;
  float magnitude_ = 1;
};

}  // namespace nibble::arch
