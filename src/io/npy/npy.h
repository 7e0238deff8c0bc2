#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "tensor/tensor.h"

namespace nibble::io {

bool is_npy(base::Bytes bytes);

/// Reads a NumPy array (.npy, versions 1 to 3): little-endian f2 f4 f8, i1 to i8, u1 to u8, bool. In C order the tensor
/// views `bytes`, which `owner` keeps alive; in Fortran order it is a transposed copy. The file must end with the data.
///
/// Throws Error: kMalformed; kUnsupported for object arrays (pickle is never run), structured, complex, text and
/// big-endian arrays, with the line of Python that converts them; kLimit (rank, tensor-elements).
tensor::Tensor read_npy(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                        const base::Limits& limits);

/// The bytes before the data in a .npy file (version 1.0, C order, padded to 64). Throws Error(kUnsupported) for types
/// that NumPy does not have (bf16, packed types, 8-bit floats).
std::string npy_header(const tensor::Tensor& tensor);
/// A whole .npy file.
std::string npy_file(const tensor::Tensor& tensor);

/// The arrays of an .npz file (a zip of .npy files), in the order of their names without ".npy". An entry of another
/// kind is an Error(kUnsupported).
std::vector<std::pair<std::string, tensor::Tensor>> read_npz(base::Bytes bytes, const std::string& place,
                                                             const base::Limits& limits);

}  // namespace nibble::io
