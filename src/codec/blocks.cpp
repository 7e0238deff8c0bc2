#include "codec/blocks.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "codec/plain_floats.h"

namespace nibble::codec {

#define NIBBLE_BLOCK(name, elements, bytes, number, what) const BlockFormat& name##_blocks();
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK

std::span<const BlockFormat* const> all_block_formats() {
  static const std::array formats = {
#define NIBBLE_BLOCK(name, elements, bytes, number, what) &name##_blocks(),
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
  };
  return formats;
}

const BlockFormat* find_block_format(DType dtype) {
  for (const BlockFormat* format : all_block_formats())
    if (format->dtype == dtype) return format;
  return nullptr;
}

const BlockFormat* find_block_format(std::string_view name) {
  const auto same = [](char a, char b) { return a == std::toupper(static_cast<unsigned char>(b)); };
  for (const BlockFormat* format : all_block_formats())
    if (std::equal(format->name.begin(), format->name.end(), name.begin(), name.end(), same)) return format;
  return nullptr;
}

void decode_range(const tensor::Tensor& t, int64_t start, int64_t count, float* values) {
  NIBBLE_INVARIANT(start >= 0 && count >= 0 && start + count <= t.elements() && !t.quantization());
  if (const BlockFormat* format = find_block_format(t.dtype())) {
    NIBBLE_INVARIANT(start % format->elements == 0 && count % format->elements == 0);
    format->decode(t.values<uint8_t>().data() + start / format->elements * format->bytes, count / format->elements,
                   values);
    return;
  }
  convert_plain(t, start, start + count, values);
}

void require_finite_values(const tensor::Tensor& t, const std::string& place) {
  const int64_t chunk = 65536;  // whole blocks of every format
  std::array<float, 65536> values;
  for (int64_t start = 0; start < t.elements(); start += chunk) {
    const int64_t count = std::min(chunk, t.elements() - start);
    decode_range(t, start, count, values.data());
    for (int64_t i = 0; i < count; ++i)
      if (!std::isfinite(values[static_cast<size_t>(i)]))
        base::fail_malformed(place, "holds NaN or infinity at element " + std::to_string(start + i));
  }
}

}  // namespace nibble::codec
