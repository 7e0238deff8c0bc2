#pragma once
#include <string>

#include "base/bytes.h"
#include "base/limits.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace nibble::io::npy {

/// What the text at the front of a .npy file says.
struct Header {
  tensor::DType dtype = tensor::DType::f32;
  bool fortran_order = false;
  tensor::Shape shape;
};

/// Parses the Python dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`: exactly these keys, in
/// any order. Nothing is evaluated.
Header parse_header(std::string_view text, const std::string& place, const base::Limits& limits);

}  // namespace nibble::io::npy
