#pragma once
#include <span>
#include <string_view>

#include "fit/grid.h"

namespace nibble::fit {

/// A way to map values to codes under given, storable parameters: the second of the three steps before the bits.
struct RoundMethod {
  std::string_view name;     ///< as on the command line
  std::string_view summary;  ///< one line for help and docs
  /// Writes one code a value (8-bit unsigned codes as their bit pattern).
  void (*round)(std::span<const float> values, const GroupParams& params, const Grid& grid, int8_t* codes);
};

/// The method of that name, or nullptr; all, in the order of methods.def.
const RoundMethod* find_round_method(std::string_view name);
std::span<const RoundMethod* const> all_round_methods();

}  // namespace nibble::fit
