#include "ops/strided.h"

#include <algorithm>
#include <cstring>

namespace nibble::ops {
namespace {

/// Exchanges the two innermost dimensions: y[i * inner + j] = x[i + j * step], i in [begin, end). Few columns go side
/// by side, many in tiles, so that lines of both sides stay in the cache.
template <typename T>
void exchange(const T* x, T* y, int64_t begin, int64_t end, int64_t inner, int64_t step) {
  if (inner == 3) {
    const T *a = x, *b = x + step, *c = x + 2 * step;
    for (int64_t i = begin; i < end; ++i) {
      T* to = y + 3 * i;
      to[0] = a[i], to[1] = b[i], to[2] = c[i];
    }
    return;
  }
  constexpr int64_t kTile = 16;
  for (int64_t i = begin; i < end; i += kTile)
    for (int64_t j = 0; j < inner; j += kTile) {
      const int64_t rows = std::min(end, i + kTile), columns = std::min(inner, j + kTile);
      for (int64_t r = i; r < rows; ++r)
        for (int64_t k = j; k < columns; ++k) y[r * inner + k] = x[r + k * step];
    }
}

/// Leaves out dimensions of size 1 and joins those through which both sides walk with one step.
void simplify(Shape& shape, std::vector<int64_t>& strides) {
  Shape sizes;
  std::vector<int64_t> steps;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    if (!sizes.empty() && steps.back() == strides[d] * shape[d]) {
      sizes.back() *= shape[d];
      steps.back() = strides[d];
    } else {
      sizes.push_back(shape[d]);
      steps.push_back(strides[d]);
    }
  }
  if (sizes.empty()) sizes = {1}, steps = {1};
  shape = std::move(sizes);
  strides = std::move(steps);
}

/// Copies `y` of `shape` from `x`, where a step along dimension d of y is strides[d] elements of x.
template <typename T>
void gather_strided(const T* x, T* y, const Shape& shape, const std::vector<int64_t>& strides, base::ThreadPool& pool) {
  const size_t last = shape.size() - 1;
  const int64_t inner = shape[last], step = strides[last];
  const int64_t runs = element_count(shape) / inner;
  if (last > 0 && strides[last - 1] == 1 && step != 1) {
    const int64_t rows = shape[last - 1], grain = std::max<int64_t>(16, kGrain / inner);
    const int64_t pieces = (rows + grain - 1) / grain;
    pool.for_each(runs / rows * pieces, [&](int64_t piece, int) {
      int64_t rest = piece / pieces, at = 0;
      T* target = y + rest * rows * inner;
      for (size_t d = last - 1; d-- > 0; rest /= shape[d]) at += rest % shape[d] * strides[d];
      const int64_t begin = piece % pieces * grain;
      exchange(x + at, target, begin, std::min(rows, begin + grain), inner, step);
    });
    return;
  }
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
  simplify(shape, strides);
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
