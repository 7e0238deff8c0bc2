#pragma once
#include "ops/element_types.h"

namespace nibble::ops {

/// Output 0 = f(input 0), element by element: elements of C++ type T, passed as ComputeOf<T>, results stored as Y.
template <typename T, typename Y = T, typename F>
void map_elements(RunContext& c, F f) {
  const T* x = data_of<T>(c.input(0));
  Y* y = mutable_data_of<Y>(c.output(0));
  for_ranges(c.pool(), c.input(0).elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<Y>(f(static_cast<ComputeOf<T>>(x[i])));
  });
}

/// The same over all float types; other types are an Error(kUnsupported).
template <typename F>
void map_floats(RunContext& c, F f) {
  if (!visit_float(c.input(0).dtype(), [&](auto t) { map_elements<decltype(t)>(c, f); })) c.unsupported_type();
}
/// The same over all numbers.
template <typename F>
void map_numbers(RunContext& c, F f) {
  if (!visit_number(c.input(0).dtype(), [&](auto t) { map_elements<decltype(t)>(c, f); })) c.unsupported_type();
}

}  // namespace nibble::ops
