// MaxPool, AveragePool and their global forms; channels second, or last with the Session's attribute channels_last = 1.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/pool_rows/pool_rows.h"
#include "ops/element_types.h"
#include "ops/window.h"

namespace nibble::ops {
namespace {

constexpr size_t kMostDimensions = 16;  // spatial ones

struct Pool {
  bool channels_last;
  int64_t batch, channels;
  Window window;
};

Pool read_pool(const Node& node, const Shape& x) {
  if (x.size() < 3)
    base::fail_malformed(node.describe(),
                         "its input has shape " + to_string(x) + ", at least 3 dimensions were expected");
  if (!node.has("kernel_shape")) base::fail_malformed(node.describe(), "kernel_shape is missing");
  Pool p;
  p.channels_last = node.integer("channels_last", 0) != 0;
  p.batch = x[0];
  p.channels = p.channels_last ? x.back() : x[1];
  const auto first = x.begin() + (p.channels_last ? 1 : 2);
  p.window = read_window(node, {first, first + static_cast<std::ptrdiff_t>(x.size() - 2)}, {},
                         node.integer("ceil_mode", 0) != 0);
  const Window& w = p.window;
  if (w.dims() > kMostDimensions) base::fail_unsupported(node.describe(), "has more than 16 spatial dimensions");
  if (p.channels_last && w.dims() != 2)
    base::fail_malformed(node.describe(), "channels_last is for two spatial dimensions");
  for (size_t d = 0; d < w.dims(); ++d) {
    // A window that lies wholly in the padding has no largest element and no average.
    const int64_t extent = (w.kernel[d] - 1) * w.dilations[d] + 1;
    if (w.pads_begin[d] >= extent || w.pads_end[d] >= extent)
      base::fail_malformed(node.describe(), "its padding " + std::to_string(std::max(w.pads_begin[d], w.pads_end[d])) +
                                                " is not smaller than its window of " + std::to_string(extent));
  }
  return p;
}

Shape pooled_shape(const Pool& p) {
  Shape shape{p.batch};
  if (!p.channels_last) shape.push_back(p.channels);
  shape.insert(shape.end(), p.window.out.begin(), p.window.out.end());
  if (p.channels_last) shape.push_back(p.channels);
  return shape;
}

void infer_pool(InferContext& c) {
  if (!c.shape_known(0)) {
    for (size_t i = 0; i < c.output_count(); ++i) c.output_of_unknown_rank(i, i ? DType::i64 : c.dtype(0));
    return;
  }
  const Shape shape = pooled_shape(read_pool(c.node(), c.shape(0)));
  c.output(0, c.dtype(0), shape);
  c.output(1, DType::i64, shape);
}

/// Dimension d of the window at output position `at`: where it begins, which of its places [first, last) lie inside the
/// input, and how many lie inside the padded input.
struct Places {
  int64_t begin, first, last, padded;
};
Places places_of(const Window& w, size_t d, int64_t at) {
  const int64_t begin = at * w.strides[d] - w.pads_begin[d];
  const auto places_before = [&](int64_t end) {  // how many places lie before position `end`
    return end > begin ? std::min(w.kernel[d], (end - begin - 1) / w.dilations[d] + 1) : 0;
  };
  return {begin, places_before(0), places_before(w.in[d]), places_before(w.in[d] + w.pads_end[d])};
}

/// Calls visit(offset) for the position of every element of the window at output position `at` that lies inside the
/// input; offsets count spatial positions. Returns how many places of the window lie inside the padded input.
template <typename Visit>
int64_t walk_window(const Window& w, const std::array<int64_t, kMostDimensions>& at, Visit&& visit) {
  const size_t dims = w.dims();
  std::array<int64_t, kMostDimensions> begin, first, last, k;  // of the window's places, those that lie inside
  int64_t padded_places = 1;
  bool any = true;
  for (size_t d = 0; d < dims; ++d) {
    const Places p = places_of(w, d, at[d]);
    begin[d] = p.begin;
    first[d] = k[d] = p.first;
    last[d] = p.last;
    any = any && first[d] < last[d];
    padded_places *= p.padded;
  }
  while (any) {
    int64_t offset = 0;
    for (size_t d = 0; d < dims; ++d) offset = offset * w.in[d] + begin[d] + k[d] * w.dilations[d];
    visit(offset);
    size_t d = dims;
    while (d-- > 0) {
      if (++k[d] < last[d]) break;
      k[d] = first[d];
      any = d > 0;
    }
  }
  return padded_places;
}

/// Runs body(out_index, at) over the spatial positions of the output.
std::array<int64_t, kMostDimensions> position_of(const Window& w, int64_t index) {
  std::array<int64_t, kMostDimensions> at{};
  for (size_t d = w.dims(); d-- > 0; index /= w.out[d]) at[d] = index % w.out[d];
  return at;
}

template <typename T>
void max_pool_planes(RunContext& c, const Pool& p) {
  const T* x = data_of<T>(c.input(0));
  T* y = mutable_data_of<T>(c.output(0));
  int64_t* where = c.wants(1) ? mutable_data_of<int64_t>(c.output(1)) : nullptr;
  const bool column_major = c.node().integer("storage_order", 0) != 0;
  const int64_t in = element_count(p.window.in), out = element_count(p.window.out);
  const auto lowest = [] {
    if constexpr (is_float<T>)
      return -std::numeric_limits<ComputeOf<T>>::infinity();
    else
      return std::numeric_limits<T>::lowest();
  }();
  c.pool().for_each(p.batch * p.channels, [&](int64_t plane, int) {
    for (int64_t o = 0; o < out; ++o) {
      ComputeOf<T> best = lowest;
      int64_t best_at = -1;
      walk_window(p.window, position_of(p.window, o), [&](int64_t offset) {
        const auto v = static_cast<ComputeOf<T>>(x[plane * in + offset]);
        if (best_at < 0 || v > best) best = v, best_at = offset;
      });
      y[plane * out + o] = static_cast<T>(best);
      if (!where) continue;
      int64_t index = best_at;
      if (column_major) {  // the index counts columns first over the spatial dimensions
        index = 0;
        int64_t rest = best_at, step = 1;
        std::vector<int64_t> at(p.window.dims());
        for (size_t d = p.window.dims(); d-- > 0; rest /= p.window.in[d]) at[d] = rest % p.window.in[d];
        for (size_t d = 0; d < p.window.dims(); step *= p.window.in[d++]) index += at[d] * step;
      }
      where[plane * out + o] = plane * in + index;
    }
  });
}

/// Channels last, float: hands the rows of channels inside each window to combine(rows, count, padded places, target).
template <typename Combine>
void pool_rows(RunContext& c, const Pool& p, Combine combine) {
  const float* x = data_of<float>(c.input(0));
  float* y = mutable_data_of<float>(c.output(0));
  const Window& w = p.window;
  const int64_t channels = p.channels, in_rows = w.in[0], in_columns = w.in[1], columns = w.out[1];
  const int64_t taps = std::min(w.kernel[0], in_rows) * std::min(w.kernel[1], in_columns);
  if (c.output(0).elements() == 0) return;
  std::vector<Places> across(static_cast<size_t>(columns));
  for (int64_t o = 0; o < columns; ++o) across[static_cast<size_t>(o)] = places_of(w, 1, o);
  const int64_t grain = std::max<int64_t>(1, kGrain / (columns * channels * taps));
  for_ranges(c.pool(), p.batch * w.out[0], grain, [&](int64_t begin, int64_t end) {
    std::vector<const float*> rows(static_cast<size_t>(taps));
    for (int64_t line = begin; line < end; ++line) {
      const float* image = x + line / w.out[0] * in_rows * in_columns * channels;
      float* target = y + line * columns * channels;
      const Places down = places_of(w, 0, line % w.out[0]);
      for (const Places& right : across) {
        const float** row = rows.data();
        for (int64_t i = down.first; i < down.last; ++i) {
          const float* from = image + ((down.begin + i * w.dilations[0]) * in_columns + right.begin) * channels;
          for (int64_t j = right.first; j < right.last; ++j) *row++ = from + j * w.dilations[1] * channels;
        }
        combine(rows.data(), row - rows.data(), down.padded * right.padded, target);
        target += channels;
      }
    }
  });
}

/// The node's attributes and sizes, read anew only for another input shape.
const Pool& prepared_pool(RunContext& c) {
  struct Prepared {
    Shape input;
    Pool pool;
  };
  Prepared& kept = c.state<Prepared>();
  if (kept.input != c.input(0).shape()) kept = {c.input(0).shape(), read_pool(c.node(), c.input(0).shape())};
  const Pool& p = kept.pool;
  if (c.output(0).elements() > 0 && element_count(p.window.in) == 0)
    c.malformed("its input has no positions to pool over");
  return p;
}

void run_max_pool(RunContext& c) {
  const Pool& p = prepared_pool(c);
  if (p.channels_last) {
    const auto kernel = kernels::pool_rows().max;
    return pool_rows(
        c, p, [&](const float* const* rows, int64_t count, int64_t, float* y) { kernel(rows, count, p.channels, y); });
  }
  if (!visit_number(c.input(0).dtype(), [&](auto t) { max_pool_planes<decltype(t)>(c, p); })) c.unsupported_type();
}

void run_average_pool(RunContext& c) {
  const Pool& p = prepared_pool(c);
  const bool count_padding = c.node().integer("count_include_pad", 0) != 0;
  if (p.channels_last) {
    const auto kernel = kernels::pool_rows().mean;
    return pool_rows(c, p, [&](const float* const* rows, int64_t count, int64_t padded, float* y) {
      kernel(rows, count, p.channels, static_cast<float>(count_padding ? padded : count), y);
    });
  }
  const int64_t in = element_count(p.window.in), out = element_count(p.window.out);
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    c.pool().for_each(p.batch * p.channels, [&](int64_t plane, int) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = 0;
        int64_t inside = 0;
        const int64_t padded = walk_window(p.window, position_of(p.window, o), [&](int64_t offset) {
          sum += static_cast<double>(x[plane * in + offset]);
          ++inside;
        });
        y[plane * out + o] = static_cast<T>(sum / static_cast<double>(count_padding ? padded : inside));
      }
    });
  });
  if (!done) c.unsupported_type();
}

void infer_global(InferContext& c) {
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape = c.shape(0);
  c.require(shape.size() >= 3, "its input has shape " + to_string(shape) + ", at least 3 dimensions were expected");
  const bool last = c.node().integer("channels_last", 0) != 0;
  for (size_t d = 1; d < shape.size(); ++d)
    if (d != (last ? shape.size() - 1 : 1)) shape[d] = 1;
  c.output(0, c.dtype(0), shape);
}

/// Channels last, float: the mean of each channel of each image, summed in double.
void global_mean_of_rows(RunContext& c, int64_t batch, int64_t area, int64_t channels) {
  constexpr int64_t kAtOnce = 64;  // channels: a piece of work is some such groups of one image
  const float* x = data_of<float>(c.input(0));
  float* y = mutable_data_of<float>(c.output(0));
  const int64_t groups = (channels + kAtOnce - 1) / kAtOnce;
  for_ranges(c.pool(), batch * groups, std::max<int64_t>(1, kGrain / (kAtOnce * area)),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t image = i / groups, first = i % groups * kAtOnce;
                 kernels::pool_rows().mean_in_double(x + image * area * channels + first, area, channels,
                                                     std::min(kAtOnce, channels - first), y + image * channels + first);
               }
             });
}

/// Sums in double over each channel of each image, whatever the layout; `max` takes the largest instead.
void run_global(RunContext& c, bool max) {
  const Shape& shape = c.input(0).shape();
  const bool last = c.node().integer("channels_last", 0) != 0;
  const int64_t batch = shape[0], channels = last ? shape.back() : shape[1];
  if (batch * channels == 0) return;
  const int64_t area = c.input(0).elements() / (batch * channels);
  if (area == 0) c.malformed("its input has no positions to pool over");
  const int64_t step = last ? channels : 1;
  if (last && !max && c.input(0).dtype() == DType::f32) return global_mean_of_rows(c, batch, area, channels);
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    for_ranges(c.pool(), batch * channels, std::max<int64_t>(1, kGrain / area), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* plane = last ? x + i / channels * area * channels + i % channels : x + i * area;
        double sum = max ? -std::numeric_limits<double>::infinity() : 0;
        for (int64_t k = 0; k < area; ++k) {
          const double v = static_cast<double>(plane[k * step]);
          sum = max ? std::max(sum, v) : sum + v;
        }
        y[i] = static_cast<T>(max ? sum : sum / static_cast<double>(area));
      }
    });
  });
  if (!done) c.unsupported_type();
}

void run_global_average_pool(RunContext& c) { run_global(c, false); }
void run_global_max_pool(RunContext& c) { run_global(c, true); }

}  // namespace

const Operator& max_pool() {
  static const Operator op{"MaxPool", "", 1, 1, 2, infer_pool, run_max_pool, Layout::kFixed, false};
  return op;
}
const Operator& average_pool() {
  static const Operator op{"AveragePool", "", 1, 1, 1, infer_pool, run_average_pool, Layout::kFixed, false};
  return op;
}
const Operator& global_average_pool() {
  static const Operator op{"GlobalAveragePool", "",   1, 1, 1, infer_global, run_global_average_pool,
                           Layout::kFixed,      false};
  return op;
}
const Operator& global_max_pool() {
  static const Operator op{"GlobalMaxPool", "", 1, 1, 1, infer_global, run_global_max_pool, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
