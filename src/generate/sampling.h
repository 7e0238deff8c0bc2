#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace nibble::generate {

/// How the next token is chosen. The steps follow each other in the order of these members; each of them can be off.
struct SamplingOptions {
  float repetition_penalty = 1;  ///< 1: off. Logits of the last `penalty_window` tokens are divided by it where
                                 ///< positive, else multiplied (Keskar et al. 2019, https://arxiv.org/abs/1909.05858)
  int64_t penalty_window = 64;
  int64_t top_k = 40;        ///< the k likeliest tokens; 0: all
  float top_p = 0.95f;       ///< the fewest likeliest tokens that together have this probability; 1: all
  float min_p = 0.05f;       ///< tokens at least this share as likely as the likeliest; 0: all
  float temperature = 0.8f;  ///< logits are divided by it; 0: the likeliest token, always (greedy)
  uint64_t seed = 0;
};

/// Error(kUsage) naming the option that is out of range.
void require_valid(const SamplingOptions& options);

/// Draws tokens of one text. The same options, logits and history give the same tokens on every machine with the same
/// arithmetic.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options, uint64_t stream = 0);

  /// The token after `history` for these logits. The lowest number wins where two are equally likely.
  int32_t next(std::span<const float> logits, std::span<const int32_t> history);

 private:
  SamplingOptions options_;
  base::Random random_;
};

}  // namespace nibble::generate
