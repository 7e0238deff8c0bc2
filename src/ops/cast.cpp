// Cast between all numeric types: to the one that the attribute `to` names by its ONNX number, or, CastLike, to that of
// a second input.
#include "ops/element_types.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

void infer_cast(InferContext& c) { c.output_like(0, read_dtype(c.node(), "to", DType::f32), 0); }
void infer_cast_like(InferContext& c) { c.output_like(0, c.dtype(1), 0); }

void run_cast(RunContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0);
  if (x.dtype() == y.dtype()) return void(y = x);
  // The pairs that run in networks go straight; everything else through exact doubles.
  const auto straight = [&](DType t) {
    return t == DType::f32 || t == DType::i32 || t == DType::u8 || t == DType::f16 || t == DType::i64;
  };
  const bool to_float = y.dtype() == DType::f32;
  const bool wide = x.dtype() == DType::i64 || x.dtype() == DType::u64;
  if (straight(x.dtype()) && (to_float || (wide && y.dtype() == DType::i32))) {
    visit_number(x.dtype(), [&](auto v) {
      using T = decltype(v);
      const T* from = data_of<T>(x);
      for_ranges(c.pool(), x.elements(), kGrain, [&](int64_t begin, int64_t end) {
        if (to_float) {
          float* to = mutable_data_of<float>(y);
          for (int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(static_cast<ComputeOf<T>>(from[i]));
        } else {
          int32_t* to = mutable_data_of<int32_t>(y);
          for (int64_t i = begin; i < end; ++i) to[i] = static_cast<int32_t>(static_cast<ComputeOf<T>>(from[i]));
        }
      });
    });
    return;
  }
  y = encode_numbers(y.dtype(), x.shape(), decode_numbers(x), c.node().integer("saturate", 1) != 0,
                     c.node().text("round_mode", "up"));
}

}  // namespace

const Operator& cast_like() {
  static const Operator op{"CastLike", "", 2, 2, 1, infer_cast_like, run_cast, Layout::kFixed, false};
  return op;
}
const Operator& cast() {
  static const Operator op{"Cast", "", 1, 1, 1, infer_cast, run_cast, Layout::kElementwise, false};
  return op;
}

}  // namespace nibble::ops
