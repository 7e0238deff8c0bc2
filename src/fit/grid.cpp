#include "fit/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace nibble::fit {
namespace {

constexpr std::array<std::string_view, 4> kMapNames = {"minmax", "affine", "symmetric", "restricted"};

/// A scale that takes the constant `c` (not 0) to a level as exactly as the stored scale allows.
GroupParams constant_group(float c, const Grid& grid) {
  const float magnitude = std::fabs(c);
  GroupParams best;
  double best_error = -1.0;
  for (int level = 1; level <= grid.steps(); ++level) {
    const float wanted = magnitude / static_cast<float>(level);
    if (grid.stored_as == ScaleType::kF16 && wanted >= 65520.0f && level < grid.steps()) continue;  // would not fit
    const GroupParams p = grid.storable({.scale = wanted});
    const double error = std::fabs(double{p.scale} * level - double{magnitude});
    if (best_error >= 0.0 && error >= best_error) continue;
    best_error = error;
    best = p;
    // The code of c is `level` above or below that of zero; a zero point at the near end leaves room for all of it.
    best.zero = c > 0.0f ? grid.lowest_code() : grid.highest_code();
  }
  return best;
}

GroupParams affine_params(float min, float max, const Grid& grid) {
  if (min == max && min != 0.0f) return constant_group(min, grid);
  min = std::min(min, 0.0f);
  max = std::max(max, 0.0f);
  const double range = double{max} - double{min};
  GroupParams p = grid.storable({.scale = static_cast<float>(range / grid.steps())});
  const double zero = std::nearbyint(-double{min} / double{p.scale});
  p.zero = grid.lowest_code() + static_cast<int>(std::min(zero, static_cast<double>(grid.steps())));
  return p;
}

GroupParams minmax_params(float min, float max, const Grid& grid) {
  const double range = double{max} - double{min};
  if (range == 0.0) return {.scale = 1.0f, .zero = 0, .offset = min + 0.0f};
  if (range > double{std::numeric_limits<float>::max()})
    base::fail_unsupported("", "the range of the values is larger than float32 can hold", "rescale the layer");
  return grid.storable({.scale = static_cast<float>(range / grid.steps()), .zero = 0, .offset = min});
}

GroupParams symmetric_params(float min, float max, const Grid& grid, float tensor_scale) {
  const NumberFormat& format = *grid.format;
  const int zero = grid.fixed_zero();
  const float high = format.uniform() ? static_cast<float>(grid.highest_code() - zero) : format.highest_level();
  const float low = format.uniform() ? static_cast<float>(zero - grid.lowest_code()) : -format.lowest_level();
  float scale = std::max({max / high, -min / low, 0.0f});
  if (format.scale == ScaleType::kE8M0 && scale > 0.0f) {
    // The smallest power of two that clips nothing (the "rceil" rule), not the nearest.
    int exponent = 0;
    if (std::frexp(scale, &exponent) == 0.5f) --exponent;
    scale = std::ldexp(1.0f, std::clamp(exponent, -127, 127));
  }
  return grid.storable({.scale = scale, .zero = zero}, tensor_scale);
}

}  // namespace

std::string_view name_of(Map map) { return kMapNames[static_cast<size_t>(map)]; }

std::optional<Map> find_map(std::string_view name) {
  for (size_t i = 0; i < kMapNames.size(); ++i)
    if (kMapNames[i] == name) return static_cast<Map>(i);
  return std::nullopt;
}

int Grid::fixed_zero() const {
  if (!format->uniform() || format->lowest_code < 0) return 0;
  return (format->highest_code() + 1) / 2;
}

bool supports(const NumberFormat& format, Map map) {
  switch (map) {
    case Map::kMinmax:
      return format.real_offset;
    case Map::kAffine:
      return format.integer_zero;
    case Map::kSymmetric:
      return true;
    case Map::kRestricted:
      return format.uniform();
  }
  return false;
}

Grid make_grid(const NumberFormat& format, Map map, std::optional<ScaleType> stored_as) {
  if (!supports(format, map))
    base::fail_unsupported("format " + std::string(format.name), "has no map named " + std::string(name_of(map)),
                           format.uniform() ? "the unsigned formats have it" : "its only map is symmetric");
  const bool free_choice = format.scale == ScaleType::kF16;
  if (stored_as && *stored_as != format.scale && !(free_choice && *stored_as == ScaleType::kF32))
    base::fail_unsupported("format " + std::string(format.name), "cannot store its scales in another type");
  const ScaleType usual = map == Map::kMinmax ? ScaleType::kF32 : format.scale;
  return {.format = &format, .map = map, .stored_as = stored_as.value_or(usual)};
}

GroupParams zero_group(const Grid& grid, float tensor_scale) {
  // Affine has a zero point anywhere; the one that a range [0, 0] would get is the lowest code.
  const int zero = grid.map == Map::kMinmax ? 0 : grid.map == Map::kAffine ? grid.lowest_code() : grid.fixed_zero();
  return grid.storable({.scale = 0.0f, .zero = zero}, tensor_scale);
}

GroupParams params_from_range(float min, float max, const Grid& grid, float tensor_scale) {
  NIBBLE_INVARIANT(std::isfinite(min) && std::isfinite(max) && min <= max);
  if (min == 0.0f && max == 0.0f) return zero_group(grid, tensor_scale);
  switch (grid.map) {
    case Map::kMinmax:
      return minmax_params(min, max, grid);
    case Map::kAffine:
      return affine_params(min, max, grid);
    case Map::kSymmetric:
    case Map::kRestricted:
      return symmetric_params(min, max, grid, tensor_scale);
  }
  return {};
}

}  // namespace nibble::fit
