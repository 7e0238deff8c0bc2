// BatchNormalization, of trained networks: constants a channel. The others are in row_normalization.cpp.
#include <algorithm>
#include <cmath>

#include "ops/element_types.h"

namespace nibble::ops {
namespace {

void infer_batch_normalization(InferContext& c) {
  if (c.node().integer("training_mode", 0) != 0) c.unsupported("training_mode is 1; nibble runs trained networks");
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  const Shape& x = c.shape(0);
  c.require(!x.empty(), "its input is a scalar");
  const int64_t channels = x.size() == 1 ? 1 : (c.node().integer("channels_last", 0) ? x.back() : x[1]);
  for (size_t i = 1; i < 5; ++i)
    if (c.shape_known(i))
      c.require(c.shape(i).size() == 1 && (channels == kUnknown || c.shape(i)[0] == channels),
                "its input " + std::to_string(i) + " has shape " + to_string(c.shape(i)) +
                    ", one value a channel was expected");
  c.output(0, c.dtype(0), x);
}

void run_batch_normalization(RunContext& c) {
  const double epsilon = c.node().real("epsilon", 1e-5f);
  const Shape& shape = c.input(0).shape();
  const bool last = c.node().integer("channels_last", 0) != 0;
  const int64_t channels = shape.size() == 1 ? 1 : (last ? shape.back() : shape[1]);
  if (c.input(0).elements() == 0) return;
  const int64_t area = last ? 1 : c.input(0).elements() / (shape[0] * channels);
  std::vector<double> factor(channels), shift(channels);
  const auto number = [&](size_t input, int64_t i) {
    double v = 0;
    if (!visit_float(c.input(input).dtype(),
                     [&](auto t) { v = static_cast<double>(data_of<decltype(t)>(c.input(input))[i]); }))
      c.unsupported("takes parameters of a type that is not supported");
    return v;
  };
  for (int64_t i = 0; i < channels; ++i) {
    factor[i] = number(1, i) / std::sqrt(number(4, i) + epsilon);
    shift[i] = number(2, i) - number(3, i) * factor[i];
  }
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    for_ranges(c.pool(), c.input(0).elements() / area, std::max<int64_t>(1, kGrain / area),
               [&](int64_t begin, int64_t end) {
                 for (int64_t run = begin; run < end; ++run) {
                   const double f = factor[run % channels], s = shift[run % channels];
                   for (int64_t i = run * area; i < (run + 1) * area; ++i)
                     y[i] = static_cast<T>(static_cast<double>(x[i]) * f + s);
                 }
               });
  });
  if (!done) c.unsupported_type();
}

}  // namespace

const Operator& batch_normalization() {
  static const Operator op{"BatchNormalization", "",   5, 5, 5, infer_batch_normalization, run_batch_normalization,
                           Layout::kFixed,       false};
  return op;
}
}  // namespace nibble::ops
