#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace nibble {

/// Float32 numbers in row-major order, outermost dimension first: an image batch is [N, C, H, W].
struct Array {
  std::vector<int64_t> shape;
  std::vector<float> values;  ///< as many as the product of `shape`
};

/// Samples for a network.
struct Batch {
  std::vector<Array> inputs;    ///< one for each input of the network, in its order; the first dimension is the batch
  std::vector<int64_t> labels;  ///< the right class of each sample (from 0), -1 where unknown; or empty: no labels
};

/// Gives one batch after another, std::nullopt at the end. Called on the thread that called the library.
using NextBatch = std::function<std::optional<Batch>()>;

}  // namespace nibble
