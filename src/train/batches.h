#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "train/autograd.h"
#include "train/options.h"
#include "train/teacher.h"

namespace nibble::train {

/// The order of the samples in one epoch: a permutation that depends on the seed and the epoch alone.
std::vector<int64_t> order_of_epoch(int64_t samples, uint64_t seed, int64_t epoch);

/// Makes training batches: reads, changes images at random, asks the teacher, and cuts into slices.
class Batches {
 public:
  /// `teacher` may be nullptr. Throws Error(kUsage) where images are to be changed and the data are none.
  /// `slice`: samples a slice; where it is `exact` (the network takes no other number), those that fill none are left
  /// out.
  Batches(const data::Dataset& data, const Options& options, Teacher* teacher, int64_t slice, bool exact,
          base::ThreadPool& pool);

  struct Batch {
    data::Batch data;
    int64_t samples = 0;  ///< of them that are in slices
    Teacher::Answers answers;
    std::vector<Slice> slices;  ///< views of what is above; constants and grids are for the caller to fill in
  };
  /// The samples `indices` in epoch `epoch`.
  Batch make(std::span<const int64_t> indices, int64_t epoch);

 private:
  Teacher::Answers ask(const Batch& batch) const;

  const data::Dataset& data_;
  const Options& options_;
  Teacher* teacher_;
  int64_t slice_;
  bool exact_;
  base::ThreadPool& pool_;
  PixelForm form_;
  std::vector<std::vector<tensor::Tensor>> inputs_;  ///< of the last batch, by slice
};

}  // namespace nibble::train
