#include "io/cifar/cifar.h"

#include "base/error.h"

namespace nibble::io {
namespace {

constexpr size_t kSide = 32;
constexpr size_t kPlane = kSide * kSide;
constexpr size_t kImageBytes = 3 * kPlane;

}  // namespace

bool CifarFile::fits(size_t file_bytes) {
  return file_bytes > 0 && (file_bytes % (kImageBytes + 1) == 0 || file_bytes % (kImageBytes + 2) == 0);
}

CifarFile::CifarFile(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place)
    : bytes_(bytes), owner_(std::move(owner)) {
  if (!fits(bytes.size()))
    base::fail_malformed(place, "its " + std::to_string(bytes.size()) +
                                    " bytes are no whole number of CIFAR records (" + std::to_string(kImageBytes + 1) +
                                    " or " + std::to_string(kImageBytes + 2) + " bytes each)");
  label_bytes_ = bytes.size() % (kImageBytes + 1) == 0 ? 1 : 2;
  record_bytes_ = label_bytes_ + kImageBytes;
  for (int64_t i = 0; i < size(); ++i) {
    const bool coarse_wrong = label_bytes_ == 2 && record(i)[0] >= std::byte{20};
    if (coarse_wrong || label(i) >= classes())
      base::fail_malformed(
          place, "the label of record " + std::to_string(i) + " is " +
                     std::to_string(coarse_wrong ? std::to_integer<int>(record(i)[0]) : static_cast<int>(label(i))) +
                     ", too large for CIFAR-" + std::to_string(classes()));
  }
}

base::Bytes CifarFile::record(int64_t index) const {
  NIBBLE_INVARIANT(index >= 0 && index < size());
  return bytes_.subspan(static_cast<size_t>(index) * record_bytes_, record_bytes_);
}

int64_t CifarFile::label(int64_t index) const { return std::to_integer<int64_t>(record(index)[label_bytes_ - 1]); }

Image CifarFile::image(int64_t index) const {
  const base::Bytes planes = record(index).subspan(label_bytes_);
  Image image(kSide, kSide, 3);
  for (size_t i = 0; i < kPlane; ++i)
    for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = std::to_integer<uint8_t>(planes[c * kPlane + i]);
  return image;
}

}  // namespace nibble::io
