#include "eval/output_errors.h"

#include <cmath>
#include <cstring>

namespace nibble::eval {

void ErrorSums::add(std::span<const float> x, std::span<const float> y) {
  for (size_t i = 0; i < x.size(); ++i) {
    const double a = x[i], b = y[i];
    signal += a * a;
    noise += (a - b) * (a - b);
    product += a * b;
    other += b * b;
  }
}
double ErrorSums::sqnr_db() const { return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY; }
double ErrorSums::cosine() const { return signal > 0 && other > 0 ? product / std::sqrt(signal * other) : 1.0; }
double ErrorSums::relative_error() const { return signal > 0 ? std::sqrt(noise / signal) : noise > 0 ? INFINITY : 0.0; }

OutputErrors::OutputErrors(const graph::Graph& network) {
  for (const graph::ValueId id : network.outputs) {
    outputs_.emplace_back();
    outputs_.back().error.name = network.value(id).name;
  }
}

void OutputErrors::add(const Answers& answers) {
  for (size_t i = 0; i < outputs_.size() && !answers.before.empty(); ++i) {
    Output& out = outputs_[i];
    if (!answers.comparable(i)) {
      ++out.error.other_form;
      continue;
    }
    const tensor::Tensor &x = answers.before[i], &y = answers.after[i];
    out.error.values += x.elements();
    out.error.floats = x.dtype() == tensor::DType::f32;
    const size_t size = x.elements() ? x.bytes().size() / static_cast<size_t>(x.elements()) : 0;
    for (size_t e = 0; e < static_cast<size_t>(x.elements()); ++e)
      out.error.equal += std::memcmp(x.bytes().data() + e * size, y.bytes().data() + e * size, size) == 0;
    if (!out.error.floats) continue;
    const auto a = x.values<float>(), b = y.values<float>();
    const auto samples = answers.by_sample(i) ? static_cast<size_t>(answers.data.size()) : 1;
    const size_t each = a.size() / samples;
    for (size_t s = 0; s < samples; ++s) {
      ErrorSums one;
      one.add(a.subspan(s * each, each), b.subspan(s * each, each));
      out.noise.push_back(one.noise);
      out.signal.push_back(one.signal);
    }
    out.sums.add(a, b);
  }
}

std::vector<OutputError> OutputErrors::result() const {
  std::vector<OutputError> errors;
  for (const Output& out : outputs_) {
    errors.push_back(out.error);
    if (!out.error.floats) continue;
    errors.back().relative_error = out.sums.relative_error();
    errors.back().sqnr_db = out.sums.sqnr_db();
    errors.back().samples = static_cast<int64_t>(out.noise.size());
    const Interval squared = bootstrap_ratio_interval(out.noise, out.signal);
    errors.back().relative_error_interval = {std::sqrt(squared.low), std::sqrt(squared.high)};
  }
  return errors;
}

}  // namespace nibble::eval
