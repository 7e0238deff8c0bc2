#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nibble::train {

double learning_rate_share(int64_t step, int64_t steps, double warm_up, Schedule schedule) {
  const double at = (static_cast<double>(step) + 0.5) / static_cast<double>(std::max<int64_t>(1, steps));
  if (at < warm_up) return at / warm_up;
  if (schedule == Schedule::kConstant) return 1;
  const double rest = warm_up < 1 ? (at - warm_up) / (1 - warm_up) : 1;
  return 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, rest)));
}

double rising_share(int64_t step, int64_t steps, double from) {
  const double at = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, steps));
  if (at <= from) return 0;
  return 0.5 * (1 - std::cos(std::numbers::pi * std::min(1.0, (at - from) / (1 - from))));
}

}  // namespace nibble::train
