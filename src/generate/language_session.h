#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "arch/architecture.h"
#include "base/limits.h"
#include "base/thread_pool.h"
#include "codec/activations.h"
#include "ops/kv_cache.h"
#include "runtime/session.h"

namespace nibble::generate {

/// A token of one of several texts that run together.
struct Place {
  int32_t token = 0;
  int64_t sequence = 0;
};

/// A language model that runs, and what it remembers. The positions of a sequence's tokens follow from the cache.
class LanguageSession {
 public:
  LanguageSession(const arch::Model& model, codec::Activations activations, base::ThreadPool& pool,
                  const base::Limits& limits);

  /// Runs tokens after those that their sequences have already. Returns the logits [rows.size(), vocabulary] of the
  /// tokens whose places are in `rows`.
  ///
  /// Throws Error(kUsage) for a text longer than the model's context, kMalformed for logits that are not finite.
  tensor::Tensor run(std::span<const Place> tokens, std::span<const int64_t> rows);

  void forget_all() { cache_.clear(); }
  int64_t context() const { return context_; }
  int64_t vocabulary() const { return vocabulary_; }

 private:
  int64_t context_, vocabulary_;
  runtime::Session session_;
  ops::KeyValueCache cache_;
};

}  // namespace nibble::generate
