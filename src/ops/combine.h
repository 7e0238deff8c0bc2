#pragma once
#include <algorithm>

#include "ops/broadcast.h"
#include "ops/element_types.h"

namespace nibble::ops {

/// One run along the innermost dimension, with the three stride patterns that occur spelled out so that they vectorise.
template <typename A, typename B, typename Y, typename F>
void combine_run(const A* a, int64_t a_step, const B* b, int64_t b_step, Y* y, int64_t n, F f) {
  using V = ComputeOf<A>;
  using W = ComputeOf<B>;
  if (a_step == 1 && b_step == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<Y>(f(static_cast<V>(a[i]), static_cast<W>(b[i])));
  } else if (a_step == 1 && b_step == 0) {
    const W fixed = static_cast<W>(b[0]);
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<Y>(f(static_cast<V>(a[i]), fixed));
  } else {
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<Y>(f(static_cast<V>(a[i * a_step]), static_cast<W>(b[i * b_step])));
  }
}

/// out = f(left, right), element by element with broadcasting to the shape of `out`; operands of C++ types A and B,
/// passed as ComputeOf<A> and ComputeOf<B>, results stored as Y.
template <typename A, typename B, typename Y, typename F>
void combine_mixed(base::ThreadPool& pool, const Tensor& left, const Tensor& right, Tensor& out, F f) {
  const A* a = data_of<A>(left);
  const B* b = data_of<B>(right);
  Y* y = mutable_data_of<Y>(out);
  const BroadcastPlan plan = plan_broadcast(out.shape(), left.shape(), right.shape());
  const size_t last = plan.shape.size() - 1;
  const int64_t inner = plan.shape[last];
  if (inner == 0 || out.elements() == 0) return;
  const int64_t runs = out.elements() / inner;
  if (runs == 1) {
    for_ranges(pool, inner, kGrain, [&](int64_t begin, int64_t end) {
      combine_run(a + begin * plan.a_strides[last], plan.a_strides[last], b + begin * plan.b_strides[last],
                  plan.b_strides[last], y + begin, end - begin, f);
    });
    return;
  }
  for_ranges(pool, runs, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      int64_t rest = run, a_at = 0, b_at = 0;
      for (size_t d = last; d-- > 0;) {
        const int64_t index = rest % plan.shape[d];
        rest /= plan.shape[d];
        a_at += index * plan.a_strides[d];
        b_at += index * plan.b_strides[d];
      }
      combine_run(a + a_at, plan.a_strides[last], b + b_at, plan.b_strides[last], y + run * inner, inner, f);
    }
  });
}

/// The same for operands of one type.
template <typename T, typename Y = T, typename F>
void combine(base::ThreadPool& pool, const Tensor& left, const Tensor& right, Tensor& out, F f) {
  combine_mixed<T, T, Y>(pool, left, right, out, f);
}

}  // namespace nibble::ops
