#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "eval/statistics.h"

namespace nibble::eval {

/// Sums over pairs of values x (before) and y (after).
struct ErrorSums {
  double signal = 0, noise = 0, product = 0, other = 0;
  void add(std::span<const float> x, std::span<const float> y);
  double sqnr_db() const;         ///< 10 log10(sum x^2 / sum (x - y)^2); infinite where all values are equal
  double cosine() const;          ///< 1 where one side is all zeros
  double relative_error() const;  ///< sqrt(sum (x - y)^2 / sum x^2); 0 over 0 is 0, more over 0 is infinite
};

/// How far one output of the network after is from that before.
struct OutputError {
  std::string name;
  bool floats = true;                ///< else `equal` of `values` are what counts
  int64_t values = 0, equal = 0;     ///< elements compared; those with the same bytes
  int64_t other_form = 0;            ///< batches in which its shape or type differed, so that nothing was compared
  double relative_error = 0;         ///< sqrt(sum (x - y)^2 / sum x^2) over all samples
  Interval relative_error_interval;  ///< bootstrap over the samples (or runs); a point where there is one
  int64_t samples = 0;               ///< samples (or runs) that it is over
  double sqnr_db = 0;
};

/// Compares every output, sample by sample.
class OutputErrors {
 public:
  explicit OutputErrors(const graph::Graph& network);
  void add(const Answers& answers);
  std::vector<OutputError> result() const;

 private:
  struct Output {
    OutputError error;
    ErrorSums sums;
    std::vector<double> noise, signal;  ///< by sample
  };
  std::vector<Output> outputs_;
};

}  // namespace nibble::eval
