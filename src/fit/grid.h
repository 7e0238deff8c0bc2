#pragma once
#include <optional>
#include <string_view>

#include "codec/format.h"

namespace nibble::fit {

using codec::GroupParams;
using codec::NumberFormat;
using codec::ScaleType;

/// How real values are laid over the codes of a format.
enum class Map : uint8_t {
  kMinmax,      ///< a real offset: q = round((x - min) / (max - min) * 15), literally; zero need not be a level
  kAffine,      ///< an integer zero point: q = round(x / scale) + zero, min <= 0 <= max; zero is always a level
  kSymmetric,   ///< the full range of codes around a fixed zero: -8..7 (unsigned formats: 0..15 around 8)
  kRestricted,  ///< symmetric without the lowest code: -7..7
};

/// "minmax", "affine", "symmetric", "restricted"; and back.
std::string_view name_of(Map map);
std::optional<Map> find_map(std::string_view name);

/// The levels that a search may use: a format, a map and how scales are stored.
struct Grid {
  const NumberFormat* format = nullptr;
  Map map = Map::kSymmetric;
  ScaleType stored_as = ScaleType::kF16;

  int lowest_code() const { return format->lowest_code + (map == Map::kRestricted ? 1 : 0); }
  int highest_code() const { return format->highest_code(); }
  /// Codes that a value can take, less one (15 for 4 bits).
  int steps() const { return highest_code() - lowest_code(); }
  /// The zero point of the symmetric maps: 0 for signed formats, the middle (8) for unsigned ones.
  int fixed_zero() const;
  bool stores_zero() const { return map == Map::kAffine || (map != Map::kMinmax && fixed_zero() != 0); }
  bool stores_offset() const { return map == Map::kMinmax; }

  /// `wanted` snapped to what the format stores under this grid; see NumberFormat::storable.
  GroupParams storable(GroupParams wanted, float tensor_scale = 1.0f) const {
    return format->storable(wanted, tensor_scale, stored_as);
  }
  double bits_per_weight(int64_t group) const {
    return format->bits_per_weight(group, stores_zero(), stores_offset(), stored_as);
  }
};

/// Whether `format` can be used under `map`: kMinmax needs an unsigned format, and the formats that are not evenly
/// spaced know kSymmetric only.
bool supports(const NumberFormat& format, Map map);

/// A grid, with scales stored as the format stores them unless `stored_as` says otherwise; the `minmax` map stores f32
/// beside its f32 offset, so that (max - min) / 15 is kept to the last bit. Throws Error(kUnsupported) for a map that
/// the format does not have, or a scale type that it cannot use.
Grid make_grid(const NumberFormat& format, Map map, std::optional<ScaleType> stored_as = std::nullopt);

/// Storable parameters under which [min, max] is covered without clipping (up to the rounding of the scale to its
/// stored type). The range is widened to hold 0 where the map needs it. min == max is a constant c: minmax stores it as
/// offset; affine takes scale |c| / k for the k that comes nearest once stored, so that c is exact whenever it can be.
///
/// Throws Error(kUnsupported) when the scale does not fit its type. `min` and `max` are finite, min <= max.
GroupParams params_from_range(float min, float max, const Grid& grid, float tensor_scale = 1.0f);

/// Parameters of a group of zeros: scale 1, every code that of zero.
GroupParams zero_group(const Grid& grid, float tensor_scale = 1.0f);

}  // namespace nibble::fit
