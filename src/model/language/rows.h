#pragma once
#include <cstdint>
#include <vector>

#include "arch/architecture.h"

namespace nibble::model {

/// The rows of a model's constant in the order that a GGUF file has, decoded piece by piece: what writers and
/// comparisons read, whatever file the model came from. A vector of n values has n rows of one column.
class RowReader {
 public:
  RowReader(const arch::Model& model, graph::ValueId constant);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  /// Whether the rows are in a GGUF file's order already.
  bool same_order() const { return order_ == arch::Rows::kSame; }
  bool transposed() const { return order_ == arch::Rows::kTransposed; }
  const tensor::Tensor& stored() const { return tensor_; }

  /// Rows [first, first + count) as f32. A transposed constant is decoded as a whole on first use and kept.
  void read(int64_t first, int64_t count, float* values);
  /// The same rows as they are stored; not for transposed constants.
  void copy(int64_t first, int64_t count, uint8_t* bytes) const;

 private:
  const arch::Hyperparameters& sizes_;
  tensor::Tensor tensor_;
  arch::Rows order_ = arch::Rows::kSame;
  int64_t rows_ = 0, columns_ = 0;
  std::vector<float> transposed_;
};

}  // namespace nibble::model
