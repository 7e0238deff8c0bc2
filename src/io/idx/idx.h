#pragma once
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/limits.h"
#include "tensor/tensor.h"

namespace nibble::io {

/// True for an idx header (two zero bytes, a known type, 1 to 4 dimensions); not for a gzipped one.
bool is_idx(base::Bytes bytes);

/// Reads an idx file (the format of MNIST, http://yann.lecun.com/exdb/mnist): a big-endian header, then the elements,
/// which become little-endian. One-byte types stay a view of `bytes`, which `owner` keeps alive. A gzipped file is
/// expanded first (see gunzip for its limits). The file must end with the data.
tensor::Tensor read_idx(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                        const base::Limits& limits);

}  // namespace nibble::io
