#include <memory>

#include "base/error.h"
#include "base/small_float.h"
#include "fit/quantize.h"

namespace nibble::fit {
namespace {

using tensor::Shape;
using tensor::Tensor;

/// Positions of the parameters in storage order: as they are, or [groups, rows] instead of [rows, groups].
std::vector<size_t> storage_order(const QuantizedMatrix& q, bool transposed) {
  std::vector<size_t> order(q.params.size());
  const auto groups = static_cast<size_t>(q.groups_per_row());
  const size_t rows = order.size() / groups;
  for (size_t r = 0; r < rows; ++r)
    for (size_t g = 0; g < groups; ++g) order[transposed ? g * rows + r : r * groups + g] = r * groups + g;
  return order;
}

Tensor scales(const QuantizedMatrix& q, const std::vector<size_t>& order, const Shape& shape) {
  Tensor t(codec::dtype_of(q.grid.stored_as), shape, true);
  for (size_t i = 0; i < order.size(); ++i) {
    const float scale = q.params[order[i]].scale;
    switch (q.grid.stored_as) {
      case ScaleType::kF32:
        t.mutable_values<float>()[i] = scale;
        break;
      case ScaleType::kF16:
        t.mutable_values<uint16_t>()[i] = base::f32_to_f16(scale);
        break;
      case ScaleType::kE4M3:
        t.mutable_values<uint8_t>()[i] = base::f32_to_e4m3(scale / q.tensor_scale);
        break;
      case ScaleType::kE8M0:
        t.mutable_values<uint8_t>()[i] = base::f32_to_e8m0(scale);
        break;
    }
  }
  return t;
}

std::vector<int8_t> codes_in_storage_order(const QuantizedMatrix& q) {
  std::vector<int8_t> out(q.codes.size());
  constexpr int64_t kTile = 64;
  for (int64_t r0 = 0; r0 < q.rows; r0 += kTile)
    for (int64_t c0 = 0; c0 < q.columns; c0 += kTile)
      for (int64_t c = c0; c < std::min(q.columns, c0 + kTile); ++c)
        for (int64_t r = r0; r < std::min(q.rows, r0 + kTile); ++r)
          out[static_cast<size_t>(c * q.rows + r)] = q.codes[static_cast<size_t>(r * q.columns + c)];
  return out;
}

}  // namespace

Tensor to_tensor(const QuantizedMatrix& q, Shape shape, bool transposed) {
  NIBBLE_INVARIANT(tensor::element_count(shape) == q.rows * q.columns);
  auto info = std::make_shared<tensor::Quantization>();
  const bool grouped = !q.per_tensor && q.group < q.columns;
  info->format = q.grid.format;
  info->tensor_scale = q.tensor_scale;
  info->code_shape = transposed ? Shape{q.columns, q.rows} : grouped ? Shape{q.rows, q.columns} : shape;
  Shape params_shape;
  // A block format keeps its blocks even where one covers the row.
  if (grouped || (q.grid.format->block != 0 && !q.per_tensor)) {
    info->code_shape = transposed ? Shape{q.columns, q.rows} : Shape{q.rows, q.columns};
    info->axis = transposed ? 0 : 1;
    info->block = q.group;
    params_shape = transposed ? Shape{q.groups_per_row(), q.rows} : Shape{q.rows, q.groups_per_row()};
  } else if (!q.per_tensor) {
    info->axis = transposed ? 1 : 0;
    NIBBLE_INVARIANT(transposed || (!shape.empty() && shape[0] == q.rows));
    params_shape = {q.rows};
  }
  const std::vector<size_t> order = storage_order(q, transposed);
  info->scale = scales(q, order, params_shape);
  if (q.grid.stores_zero()) {
    std::vector<int8_t> zeros(order.size());
    for (size_t i = 0; i < order.size(); ++i) zeros[i] = static_cast<int8_t>(q.params[order[i]].zero);
    info->zero = codec::pack(q.grid.format->code, params_shape, zeros);
  }
  if (q.grid.stores_offset()) {
    info->offset = Tensor(tensor::DType::f32, params_shape, true);
    for (size_t i = 0; i < order.size(); ++i) info->offset.mutable_values<float>()[i] = q.params[order[i]].offset;
  }
  const Tensor codes = transposed ? codec::pack(q.grid.format->code, shape, codes_in_storage_order(q))
                                  : codec::pack(q.grid.format->code, shape, q.codes);
  return codes.with_quantization(std::move(info));
}

}  // namespace nibble::fit
