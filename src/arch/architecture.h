#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arch/hyperparameters.h"
#include "graph/graph.h"

namespace nibble::arch {

class Builder;

/// How the rows of a matrix in a Hugging Face folder stand to those in a GGUF file.
enum class Rows : uint8_t {
  kSame,
  kQueryPairs,  ///< heads whose two halves a GGUF file interleaves, for RotatePairs on adjacent elements
  kKeyPairs,    ///< the same for the key heads
  kTransposed,  ///< [columns, rows]
};

/// Where a file of either kind has a tensor, and what it is for. `{i}` in a name is the number of the block.
struct TensorRule {
  std::string_view gguf, hf;
  graph::Role role;
  Rows rows = Rows::kSame;
  bool required = true;
};

/// One architecture of the table architectures.def: the names of its tensors with their roles, and its Graph.
struct Architecture {
  std::string_view name;                         ///< as GGUF says it: "llama"
  std::span<const std::string_view> hf_classes;  ///< "LlamaForCausalLM", ...
  std::string_view families;                     ///< for people: "Llama 2 and 3, Mistral, SmolLM2"
  std::span<const TensorRule> tensors;
  Hyperparameters (*from_config)(const Configuration& config);
  Hyperparameters (*from_metadata)(const Configuration& metadata, std::string_view prefix, int64_t vocabulary);
  /// Whether GGUF files have the two elements of a rotated pair side by side.
  bool pairs_side_by_side;
  /// From the embedded tokens to the last block's output; Builder has the rest.
  void (*build)(Builder& builder);
};

std::span<const Architecture* const> all_architectures();
/// By GGUF's name, or nullptr.
const Architecture* find_architecture(std::string_view name);
/// By the class that config.json names, or nullptr.
const Architecture* find_hf_class(std::string_view name);

/// Which kind of file a tensor was read from.
enum class Source : uint8_t { kHf, kGguf };

/// The rule for a tensor of that name with its block's number (-1: none), or std::nullopt.
std::optional<std::pair<const TensorRule*, int32_t>> find_rule(const Architecture& architecture, Source source,
                                                               std::string_view name);
/// "blk.3.attn_q.weight" of "blk.{i}.attn_q.weight" and 3.
std::string numbered(std::string_view name, int32_t layer);

/// A language model as a Graph: inputs tokens, positions and sequences [T] and rows [R] (which tokens' outputs are
/// wanted), all i64; output logits [R, vocabulary] f32. Constants have GGUF's names, their Role and their layer, and
/// hold the files' tensors as they are.
struct Model {
  const Architecture* architecture = nullptr;
  Hyperparameters sizes;
  Source source = Source::kGguf;
  graph::Graph graph;
  /// Constants in GGUF's naming whose rows a GGUF file would have in another order.
  std::map<std::string, Rows> rows;
};

using NamedTensors = std::vector<std::pair<std::string, tensor::Tensor>>;

/// Builds the Graph from all tensors of a file of that kind. What is ignored is added to `notes`.
///
/// Throws Error naming `place` and the tensor: kMalformed for tensors that are missing or of the wrong shape,
/// kUnsupported for tensors that the architecture has no use for (the network would not be the one in the file).
Model build(const Architecture& architecture, Hyperparameters sizes, Source source, const NamedTensors& tensors,
            const std::string& place, std::vector<std::string>& notes);

/// The constants that a file holds, in the Graph's order; not those that the Graph made itself.
std::vector<graph::ValueId> weights_of(const Model& model);

/// Row of the file's matrix that is row `row` of a GGUF file's, for Rows::kQueryPairs and kKeyPairs.
int64_t source_row(const Hyperparameters& sizes, int64_t row);

}  // namespace nibble::arch
