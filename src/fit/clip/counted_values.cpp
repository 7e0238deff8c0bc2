#include "fit/clip/counted_values.h"

#include <algorithm>

namespace nibble::fit {

void CountedValues::load(const Group& group) {
  entries.clear();
  total_weight = 0.0;
  min = max = 0.0f;
  for (const float w : group.weights) total_weight += double{w};
  const bool weighted = total_weight > 0.0;
  if (!weighted) total_weight = static_cast<double>(group.values.size());
  for (size_t i = 0; i < group.values.size(); ++i) {
    const double weight = weighted ? double{group.weights[i]} : 1.0;
    if (weight > 0.0) entries.push_back({group.values[i], weight});
  }
  if (entries.empty()) return;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.value < b.value; });
  min = entries.front().value;
  max = entries.back().value;
}

GroupParams params_of_cut(const CountedValues& values, double low, double high, const Grid& grid, float tensor_scale) {
  if (values.empty()) return zero_group(grid, tensor_scale);
  if (values.constant()) return params_from_range(values.min, values.max, grid, tensor_scale);
  float min = std::max(values.min, static_cast<float>(low)), max = std::min(values.max, static_cast<float>(high));
  if (grid.map != Map::kMinmax) {
    // Never handed on as a constant, which params_from_range would give a scale of its own.
    min = std::min(min, 0.0f);
    max = std::max(max, 0.0f);
  }
  return params_from_range(std::min(min, max), std::max(min, max), grid, tensor_scale);
}

}  // namespace nibble::fit
