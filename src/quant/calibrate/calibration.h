#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "tensor/tensor.h"

namespace nibble::quant {

/// Counts of values in bins whose width is a power of two and whose edges are its multiples: bin i of `counts` covers
/// [(first + i) * width, (first + i + 1) * width). Zeros are counted apart. When the range outgrows kMostBins the width
/// doubles and pairs of bins are added, so the result depends on the values alone, never on their order.
class Histogram {
 public:
  static constexpr int64_t kMostBins = 4096;

  void add(std::span<const float> values);
  /// The sum of both.
  void merge(const Histogram& other);

  bool empty() const { return counts.empty(); }

  int exponent = -149;  ///< width = 2^exponent
  int64_t first = 0;
  std::vector<uint64_t> counts;
  uint64_t zeros = 0;

 private:
  void coarsen();
  void cover(int64_t low, int64_t high);
};

/// What one value of the network looked like: its range and, where it was observed and not given, its histogram.
struct ValueStatistics {
  float min = 0.0f, max = 0.0f;
  uint64_t count = 0;  ///< elements seen; 0 for a range that was given
  Histogram histogram;
  /// Mean and mean square of each channel, where it was observed by channel; else empty.
  std::vector<double> channel_mean, channel_mean_square;
};

/// What running the float network on data taught (or what a colleague's file says). A plain structure.
struct Calibration {
  std::map<std::string, ValueStatistics> activations;
  std::map<std::string, ValueStatistics> weights;  ///< ranges of the float weights; used by clip=minmax
  int64_t samples = 0;
  std::string source;  ///< the data's description
  /// Names of the chosen preparations of the network that was observed ("equalize"): others change its values.
  std::string prepared;
};

/// A value to observe, and its dimension of channels (negative: from the end).
struct Observed {
  std::string name;
  int64_t channel_axis = 1;
  bool operator==(const Observed&) const = default;
};

/// Adds one value of a run; `channel_axis` as in Observed. Throws Error(kMalformed) for NaN or infinity, naming the
/// value and the index.
void observe(ValueStatistics& statistics, const std::string& name, const tensor::Tensor& value,
             int64_t channel_axis = 1);

/// The JSON form of --ranges and --save-ranges:
///   {"nibble": "ranges", "version": 1, "samples": N, "source": "...", "prepared": "..." (where it is not empty),
///    "activations": {NAME: {"min": m, "max": M, "count": n,
///                           "histogram": {"width_exponent": e, "first_bin": i, "counts": [...], "zeros": n},
///                           "channel_mean": [...], "channel_mean_square": [...]}},
///    "weights": {NAME: {"min": m, "max": M}}}
/// Only min and max are required of an entry. An activation without a histogram is used as given, without clipping.
std::string to_json(const Calibration& calibration);
Calibration calibration_from_json(std::string_view text, const std::string& place, const base::Limits& limits);

}  // namespace nibble::quant
