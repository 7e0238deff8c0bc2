#include "model/language/rows.h"

#include <cstring>

#include "base/error.h"
#include "kernels/decode_rows/decode_rows.h"

namespace nibble::model {

RowReader::RowReader(const arch::Model& model, graph::ValueId constant)
    : sizes_(model.sizes), tensor_(model.graph.value(constant).constant) {
  if (const auto it = model.rows.find(model.graph.value(constant).name); it != model.rows.end()) order_ = it->second;
  rows_ = tensor_.shape()[0];
  columns_ = tensor_.rank() == 2 ? tensor_.shape()[1] : 1;
  if (order_ == arch::Rows::kTransposed) std::swap(rows_, columns_);
}

void RowReader::read(int64_t first, int64_t count, float* values) {
  switch (order_) {
    case arch::Rows::kSame:
      return kernels::decode_values(tensor_, first * columns_, count * columns_, values);
    case arch::Rows::kQueryPairs:
    case arch::Rows::kKeyPairs:
      for (int64_t r = 0; r < count; ++r)
        kernels::decode_values(tensor_, arch::source_row(sizes_, first + r) * columns_, columns_,
                               values + r * columns_);
      return;
    case arch::Rows::kTransposed:
      if (transposed_.empty()) {
        transposed_.resize(static_cast<size_t>(tensor_.elements()));
        kernels::decode_values(tensor_, 0, tensor_.elements(), transposed_.data());
      }
      for (int64_t r = 0; r < count; ++r)
        for (int64_t c = 0; c < columns_; ++c)
          values[r * columns_ + c] = transposed_[static_cast<size_t>(c * rows_ + first + r)];
      return;
  }
}

void RowReader::copy(int64_t first, int64_t count, uint8_t* bytes) const {
  NIBBLE_INVARIANT(order_ != arch::Rows::kTransposed);
  const int64_t row_bytes = tensor::packed_bytes(tensor_.dtype(), columns_);
  const auto* stored = reinterpret_cast<const uint8_t*>(tensor_.bytes().data());
  if (order_ == arch::Rows::kSame) {
    std::memcpy(bytes, stored + first * row_bytes, static_cast<size_t>(count * row_bytes));
    return;
  }
  for (int64_t r = 0; r < count; ++r)
    std::memcpy(bytes + r * row_bytes, stored + arch::source_row(sizes_, first + r) * row_bytes,
                static_cast<size_t>(row_bytes));
}

}  // namespace nibble::model
