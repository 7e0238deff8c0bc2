#include "ops/strided.h"

#include <algorithm>
#include <cstring>

namespace nibble::ops {
namespace {

/// Copies `y` of `shape` from `x`, where a step along dimension d of y is strides[d] elements of x.
template <typename T>
void gather_strided(const T* x, T* y, const Shape& shape, const std::vector<int64_t>& strides, base::ThreadPool& pool) {
  const size_t last = shape.size() - 1;
  const int64_t inner = shape[last], step = strides[last];
  const int64_t runs = element_count(shape) / inner;
  for_ranges(pool, runs, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      int64_t rest = run, at = 0;
      for (size_t d = last; d-- > 0; rest /= shape[d]) at += rest % shape[d] * strides[d];
      T* target = y + run * inner;
      if (step == 1)
        std::memcpy(target, x + at, static_cast<size_t>(inner) * sizeof(T));
      else
        for (int64_t i = 0; i < inner; ++i) target[i] = x[at + i * step];
    }
  });
}

}  // namespace

int64_t bytes_an_element(const RunContext& c, const Tensor& t) {
  const int bits = bits_of(t.dtype());
  if (bits < 8) c.unsupported("takes elements of type " + std::string(name_of(t.dtype())) + ", which is not supported");
  return bits / 8;
}

std::vector<int64_t> row_major_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

void gather_bytes(int64_t size, const std::byte* x, std::byte* y, Shape shape, std::vector<int64_t> strides,
                  base::ThreadPool& pool) {
  if (element_count(shape) == 0) return;
  if (shape.empty()) shape = {1}, strides = {1};
  const auto gather = [&](auto element) {
    using T = decltype(element);
    gather_strided(reinterpret_cast<const T*>(x), reinterpret_cast<T*>(y), shape, strides, pool);
  };
  if (size == 1) return gather(uint8_t{});
  if (size == 2) return gather(uint16_t{});
  if (size == 4) return gather(uint32_t{});
  gather(uint64_t{});
}

}  // namespace nibble::ops
