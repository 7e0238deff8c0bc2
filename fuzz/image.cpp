// JPEG and PNG: whatever decodes has the size that the header told, and resizes without trouble.
#include "io/image/image.h"
#include "fuzz/only_errors.h"
#include "io/image/transform.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const base::Bytes bytes = fuzz::as_bytes(data, size);
  base::Limits limits;
  limits.image_pixels = 1 << 18;  // so that one input is quick
  limits.image_side = 4096;
  fuzz::only_errors([&] {
    const io::Image image = io::decode_image(bytes, "image", limits, io::Orientation::kUpright);
    const io::ImageSize size_told = io::image_size(bytes, "image", limits);
    fuzz::require(image.width * image.height == size_told.width * size_told.height);
    fuzz::require(static_cast<int64_t>(image.pixels.size()) == image.width * image.height * image.channels);
    io::resize(image, 7, 5, io::Filter::kBicubic);
    io::resize(io::to_grey(image), 9, 70, io::Filter::kBilinear);
  });
  return 0;
}
