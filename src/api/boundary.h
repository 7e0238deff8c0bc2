#pragma once
#include <nibble/array.h>

#include <string>

#include "base/error.h"
#include "nibble/error.h"
#include "tensor/tensor.h"

namespace nibble {

[[noreturn]] void throw_public(const base::Error& error);

/// Runs `body`, so that what crosses the library's boundary is a nibble::Error. Exceptions of the caller's own
/// functions and std::bad_alloc pass as they are.
template <typename Body>
decltype(auto) at_boundary(Body&& body) {
  try {
    return body();
  } catch (const base::Error& error) {
    throw_public(error);
  }
}

/// A view of an Array that the caller keeps alive. Throws base::Error(kUsage) naming `place` for a shape with another
/// number of elements than there are values.
tensor::Tensor to_tensor(const Array& array, const std::string& place);

/// A copy as float32; throws base::Error(kUnsupported) naming `place` for elements that are not floats.
Array to_array(const tensor::Tensor& tensor, const std::string& place);

}  // namespace nibble
