#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace nibble::tensor {

/// Sizes of a tensor's dimensions, outermost first. kUnknown stands for a size that is not known before the network
/// runs (a batch); a Tensor's own shape never holds it.
using Shape = std::vector<int64_t>;
inline constexpr int64_t kUnknown = -1;

/// Product of the sizes; 1 for a scalar. kUnknown when one is unknown.
int64_t element_count(const Shape& shape);
bool is_known(const Shape& shape);
/// "[64,3,3,3]"; an unknown size prints as "?".
std::string to_string(const Shape& shape);

}  // namespace nibble::tensor
