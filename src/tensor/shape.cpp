#include "tensor/shape.h"

#include <algorithm>

namespace nibble::tensor {

int64_t element_count(const Shape& shape) {
  if (!is_known(shape)) return kUnknown;
  // An empty tensor first: its other sizes may be any, and their product need not fit.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
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
