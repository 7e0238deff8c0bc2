#include "tensor/shape.h"

#include <algorithm>

namespace nibble::tensor {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size == kUnknown) return kUnknown;
    count *= size;
  }
  return count;
}

bool is_known(const Shape& shape) { return std::find(shape.begin(), shape.end(), kUnknown) == shape.end(); }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i) text += ',';
    text += shape[i] == kUnknown ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace nibble::tensor
