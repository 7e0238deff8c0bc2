#include <algorithm>

#include "fit/clip/rule.h"

namespace nibble::fit {
namespace {

/// No clipping: the range of the values. Weights play no part, except that a histogram's empty bins do not count.
class MinmaxSearch final : public ClipSearch {
 public:
  MinmaxSearch(const Grid& grid, float tensor_scale) : grid_(grid), tensor_scale_(tensor_scale) {}

  GroupParams choose(const Group& group) override {
    bool any = false;
    float min = 0.0f, max = 0.0f;
    const auto widen = [&](float x) {
      min = any ? std::min(min, x) : x;
      max = any ? std::max(max, x) : x;
      any = true;
    };
    for (size_t i = 0; i < group.weights.size(); ++i)
      if (group.weights[i] > 0.0f) widen(group.values[i]);
    if (any) return params_from_range(min, max, grid_, tensor_scale_);
    if (group.values.empty()) return zero_group(grid_, tensor_scale_);
    min = max = group.values[0];
    for (const float x : group.values) {
      min = std::min(min, x);
      max = std::max(max, x);
    }
    return params_from_range(min, max, grid_, tensor_scale_);
  }

 private:
  Grid grid_;
  float tensor_scale_;
};

}  // namespace

const ClipRule& minmax_rule() {
  static constexpr ClipRule kRule{
      .name = "minmax",
      .summary = "the smallest and the largest value; nothing is clipped",
      .make = [](const Grid& grid, const ClipOptions&, float tensor_scale) -> std::unique_ptr<ClipSearch> {
        return std::make_unique<MinmaxSearch>(grid, tensor_scale);
      },
  };
  return kRule;
}

}  // namespace nibble::fit
