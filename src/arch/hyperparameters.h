#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arch/configuration.h"

namespace nibble::arch {

/// Rotary position embedding: which part of a head is turned, and how fast.
struct Rope {
  enum class Scaling : uint8_t { kNone, kLinear, kLlama3, kYarn };

  int64_t dimensions = 0;  ///< of a head that are turned; 0: none (learned positions)
  double base = 10000;
  Scaling scaling = Scaling::kNone;
  double factor = 1;             ///< of all scalings
  int64_t original_context = 0;  ///< llama3 and yarn: the context before scaling
  double low = 1, high = 4;      ///< llama3: low_freq_factor and high_freq_factor
  double fast = 32, slow = 1;    ///< yarn: beta_fast and beta_slow
  double magnitude = 0;          ///< yarn: attention_factor; 0: 0.1 ln(factor) + 1
  std::vector<float> divisors;   ///< of the frequencies, where a file lists them (rope_freqs.weight)
};

/// The sizes of a model.
struct Hyperparameters {
  int64_t context = 0, embedding = 0, layers = 0, feed_forward = 0, vocabulary = 0;
  int64_t heads = 0, kv_heads = 0, head_size = 0;
  double norm_epsilon = 0;
  int64_t window = 0;  ///< how many positions a token sees; 0: all
  bool tied = false;   ///< the output product uses the table of embeddings
  Rope rope;

  int64_t query_width() const { return heads * head_size; }
  int64_t kv_width() const { return kv_heads * head_size; }
};

/// From a config.json with the keys that Llama's family shares (hidden_size, num_hidden_layers, rope_scaling, ...).
///
/// Throws Error naming the file and the key: kMalformed for missing sizes and sizes that do not fit each other,
/// kUnsupported for ways of scaling, activations and windows that nibble does not compute.
Hyperparameters from_config(const Configuration& config);
/// From the metadata of a GGUF file, keys `<prefix>.embedding_length` and so on. `vocabulary` is the number of tokens
/// listed. The same Errors.
Hyperparameters from_metadata(const Configuration& metadata, std::string_view prefix, int64_t vocabulary);

/// Error(kMalformed) naming `place` unless all sizes are positive, of reason, and fit each other.
void require_sizes(const Hyperparameters& h, const std::string& place);

}  // namespace nibble::arch
