#include "fit/search/sorted_group.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace nibble::fit {
namespace {

/// Least significant digit first over the 32 bits of the magnitude, which lie in the upper half of each key. Stable, so
/// that equal magnitudes keep their order and sums come out the same on every machine.
void radix_sort(std::vector<uint64_t>& keys, std::vector<uint64_t>& spare) {
  constexpr int kBits = 11, kBuckets = 1 << kBits;
  spare.resize(keys.size());
  for (int shift = 32; shift < 64; shift += kBits) {
    std::array<uint32_t, kBuckets> start{};
    const auto digit = [&](uint64_t key) { return (key >> shift) & (kBuckets - 1); };
    for (const uint64_t key : keys) ++start[digit(key)];
    uint32_t sum = 0;
    for (uint32_t& s : start) {
      const uint32_t count = s;
      s = sum;
      sum += count;
    }
    for (const uint64_t key : keys) spare[start[digit(key)]++] = key;
    keys.swap(spare);
  }
}

void insertion_sort(std::vector<uint64_t>& keys) {
  for (size_t i = 1; i < keys.size(); ++i) {
    const uint64_t key = keys[i];
    size_t at = i;
    for (; at > 0 && keys[at - 1] > key; --at) keys[at] = keys[at - 1];
    keys[at] = key;
  }
}

void sort_keys(std::vector<uint64_t>& keys, std::vector<uint64_t>& spare) {
  if (keys.size() <= 40)
    insertion_sort(keys);
  else if (keys.size() <= 1500)
    std::sort(keys.begin(), keys.end());
  else
    radix_sort(keys, spare);
}

}  // namespace

size_t SortedSide::rank(double limit) const {
  // Branch-free: the outcome of each comparison is as good as random.
  size_t base = 0, count = x.size();
  while (count > 1) {
    const size_t half = count / 2;
    base += double{x[base + half - 1]} < limit ? half : 0;
    count -= half;
  }
  return base + (count == 1 && double{x[base]} < limit ? 1 : 0);
}

void SortedGroup::sort_side(SortedSide& side, bool weighted, const Group& group) {
  sort_keys(keys_, spare_);
  const size_t n = keys_.size();
  side.x.resize(n);
  side.w.resize(n);
  side.wx.resize(n);
  side.sum_w.resize(n + 1);
  side.sum_wx.resize(n + 1);
  side.sum_wxx.resize(n + 1);
  double w = 0.0, wx = 0.0, wxx = 0.0;
  side.sum_w[n] = side.sum_wx[n] = side.sum_wxx[n] = 0.0;
  for (size_t i = n; i-- > 0;) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(keys_[i] >> 32));
    const double weight = weighted ? double{group.weights[static_cast<uint32_t>(keys_[i])]} : 1.0;
    side.x[i] = x;
    side.w[i] = weight;
    side.wx[i] = weight * double{x};
    side.sum_w[i] = w += weight;
    side.sum_wx[i] = wx += side.wx[i];
    side.sum_wxx[i] = wxx += side.wx[i] * double{x};
  }
}

void SortedGroup::load(const Group& group, float shift) {
  NIBBLE_INVARIANT(group.weights.empty() || group.weights.size() == group.values.size());
  NIBBLE_INVARIANT(group.values.size() <= UINT32_MAX);
  bool weighted = false;
  for (const float w : group.weights) {
    NIBBLE_INVARIANT(std::isfinite(w) && w >= 0.0f);
    weighted = weighted || w > 0.0f;
  }
  keys_.clear();
  negative_keys_.clear();
  total_weight = 0.0;
  bool any = false;
  for (size_t i = 0; i < group.values.size(); ++i) {
    if (weighted && group.weights[i] == 0.0f) continue;
    const float x = group.values[i] - shift;
    NIBBLE_INVARIANT(std::isfinite(x));
    total_weight += weighted ? double{group.weights[i]} : 1.0;
    min = any ? std::min(min, x) : x;
    max = any ? std::max(max, x) : x;
    any = true;
    if (x == 0.0f) continue;
    const uint64_t key = uint64_t{std::bit_cast<uint32_t>(std::fabs(x))} << 32 | static_cast<uint32_t>(i);
    (x > 0.0f ? keys_ : negative_keys_).push_back(key);
  }
  if (!any) min = max = 0.0f;
  sort_side(positive, weighted, group);
  keys_.swap(negative_keys_);
  sort_side(negative, weighted, group);
  sum_squares = positive.sum_wxx[0] + negative.sum_wxx[0];
}

}  // namespace nibble::fit
