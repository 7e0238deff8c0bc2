#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/thread_pool.h"
#include "data/preprocessing.h"
#include "tensor/tensor.h"

namespace nibble::train {

/// Random changes of training images that leave their label what it is.
struct Augmentation {
  int64_t crop = 0;   ///< pixels of shift at most, either way in either direction; edges are reflected
  bool flip = false;  ///< left and right change places, for every other image
  double colour = 0;  ///< strength: factors of brightness, contrast and saturation lie within 1 - colour and 1 + colour

  bool operator==(const Augmentation&) const = default;
};

/// Parses "crop=4,flip,colour=0.2"; "none" and the empty text change nothing. Throws Error(kUsage) naming the part that
/// is not understood: a key that there is not, one given twice, a crop that is no whole number, a strength outside
/// 0..1.
Augmentation parse_augmentation(std::string_view text);
/// The canonical text, which parse_augmentation reads back to an equal value; "none" where nothing changes.
std::string to_text(const Augmentation& augmentation);

/// How pixels lie in a sample, and what they are worth.
struct PixelForm {
  data::Layout layout = data::Layout::kNchw;
  data::ChannelOrder order = data::ChannelOrder::kRgb;  ///< kBgr: which channel is blue matters for what grey is
  /// What the bytes 0 and 255 become, by channel (the first alone for grey images).
  std::array<double, 3> black{0, 0, 0}, white{1, 1, 1};
  /// False where nobody knows black and white: 0 is then taken for black, and results are not clipped.
  bool range_known = false;
};

/// The form of what `data::apply` gives.
PixelForm pixel_form(const data::Preprocessing& preprocessing);

/// Changes a batch of images in place: f32, [n, channels, height, width] or [n, height, width, channels]. Image i is
/// shifted, flipped and recoloured by random numbers made from `seed`, `epoch` and `sample_indices[i]` alone, so that
/// neither the batch it is in nor the number of threads matters. Which numbers shift an image does not depend on
/// whether images are flipped or recoloured too.
///
///   shift       by dx and dy, uniform in -crop..crop: as a window on the image whose edges are reflected, the
///               outermost pixels not repeated (as numpy.pad's mode "reflect")
///   flip        with probability 1/2
///   brightness  p = b * p          p is the pixel between 0 (black) and 1 (white)
///   contrast    p = m + c * (p - m)          m is the mean of the image in grey
///   saturation  p = g + s * (p - g)          g is the pixel in grey; images of three channels only
///
/// b, c and s are uniform in 1 - colour..1 + colour; after each step p is clipped to 0..1. Grey is
/// 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). The steps are those of torchvision's ColorJitter, in this order always.
///
/// Throws Error(kUsage) when the data are no images (another rank than 4, neither 1 nor 3 channels, no f32), or
/// smaller than the shift.
void augment(tensor::Tensor& batch, const PixelForm& form, const Augmentation& augmentation, uint64_t seed,
             std::span<const int64_t> sample_indices, int64_t epoch, base::ThreadPool& pool);

}  // namespace nibble::train
