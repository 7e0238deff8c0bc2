#include "api/boundary.h"

#include "codec/format.h"

namespace nibble {

Error::Error(ErrorKind kind, const std::string& what, std::string place, std::string sentence, std::string advice)
    : std::runtime_error(what),
      kind_(kind),
      place_(std::move(place)),
      sentence_(std::move(sentence)),
      advice_(std::move(advice)) {}

Error::~Error() = default;

void throw_public(const base::Error& error) {
  throw Error(static_cast<ErrorKind>(error.exit_status()), error.what(), error.place(), error.sentence(),
              error.advice());
}

tensor::Tensor to_tensor(const Array& array, const std::string& place) {
  int64_t left = static_cast<int64_t>(array.values.size());
  bool fits = true, empty = false;
  for (const int64_t size : array.shape) {
    if (size < 0) base::fail_usage(place, "has a negative size: " + tensor::to_string(array.shape));
    empty = empty || size == 0;
  }
  if (empty) {
    fits = left == 0;
  } else {
    // Divided down, so that no product of sizes can overflow.
    for (const int64_t size : array.shape) {
      fits = fits && left % size == 0;
      left /= size;
    }
    fits = fits && left == 1;
  }
  if (!fits)
    base::fail_usage(place, "has shape " + tensor::to_string(array.shape) + ", which is not the shape of " +
                                std::to_string(array.values.size()) + " values");
  const auto* first = reinterpret_cast<const std::byte*>(array.values.data());
  return {tensor::DType::f32, array.shape, base::Bytes(first, array.values.size() * sizeof(float)), nullptr};
}

Array to_array(const tensor::Tensor& tensor, const std::string& place) {
  switch (tensor.dtype()) {
    case tensor::DType::f32:
    case tensor::DType::f16:
    case tensor::DType::bf16:
    case tensor::DType::f64:
      break;
    default:
      base::fail_unsupported(
          place, "has elements of type " + std::string(name_of(tensor.dtype())) + "; only floats become an Array");
  }
  const tensor::Tensor floats = codec::dequantize(tensor);
  const auto values = floats.values<float>();
  return {floats.shape(), {values.begin(), values.end()}};
}

}  // namespace nibble
