#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "io/image/image.h"
#include "io/image/transform.h"
#include "tensor/tensor.h"

namespace nibble::io {
class Json;
}

namespace nibble::data {

enum class ChannelOrder { kRgb, kBgr, kGrey };
enum class Layout { kNchw, kNhwc };

struct Size {
  int64_t width = 0, height = 0;
  bool operator==(const Size&) const = default;
};

/// How an image becomes a network's input. The steps, in this order; each is left out at its default:
///
///   1. orientation  turned upright as Exif asks, or as stored (default; as Pillow does)
///   2. order        rgb, bgr or grey. A grey image for rgb and bgr gets three equal channels; a colour image for grey
///                   becomes Pillow's `convert("L")`
///   3. resize       to WIDTHxHEIGHT whatever the proportions, or the shorter side to N: the longer one becomes
///                   N * longer / shorter, rounded down (as torchvision's Resize(N)). By `filter`, as Pillow
///   4. pad          centred on at least WIDTHxHEIGHT filled with the byte `pad_value`
///   5. crop         the middle WIDTHxHEIGHT, its corner at floor((image - crop) / 2). A smaller image is an Error
///   6. arithmetic   a byte x of output channel c becomes ((x * scale + offset) - mean[c]) / std[c], computed in double
///                   and rounded once to float32. `mean` and `std` have one value for all channels or one for each, in
///                   the order of the OUTPUT's channels (blue first for bgr), in units of x * scale + offset
///   7. layout       nchw: [channels, height, width]; nhwc: [height, width, channels]
struct Preprocessing {
  io::Orientation orientation = io::Orientation::kAsStored;
  ChannelOrder order = ChannelOrder::kRgb;
  int64_t shorter_side = 0;  ///< 0: none; not together with `resize`
  Size resize;               ///< 0x0: none
  io::Filter filter = io::Filter::kBilinear;
  Size pad;  ///< 0x0: none
  uint8_t pad_value = 0;
  Size crop;  ///< 0x0: none
  double scale = 1.0, offset = 0.0;
  std::vector<double> mean, std;  ///< empty: 0 and 1
  Layout layout = Layout::kNchw;

  int64_t channels() const { return order == ChannelOrder::kGrey ? 1 : 3; }
  bool operator==(const Preprocessing&) const = default;
};

/// Parses `resize=256,crop=224,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,order=bgr,layout=nchw,scale=1/255`. Keys:
/// the step names above (`orientation=stored|upright`, `filter=nearest|bilinear|bicubic`, `pad-value=0..255`); sizes
/// are N (for resize: the shorter side; else a square) or WIDTHxHEIGHT; numbers may be fractions. Empty text is the
/// default Preprocessing. Throws Error(kUsage) naming the key, and as `check` does.
Preprocessing parse_preprocessing(std::string_view text, const base::Limits& limits = {});

/// The canonical text, which parse_preprocessing reads back to an equal value; "as stored" keys are left out and
/// `order` and `layout` are always there.
std::string to_text(const Preprocessing& preprocessing);

/// Throws Error(kUsage) when the values contradict each other: lists of the wrong length, a standard deviation of 0,
/// numbers that are not finite, a crop larger than the resized image, a size above image-side.
void check(const Preprocessing& preprocessing, const std::string& place, const base::Limits& limits = {});

/// The same as an object with the same keys (sizes as N or [width, height], lists as arrays): the value of
/// "preprocessing" in NAME.data.json. An unknown key is an Error(kMalformed) naming it.
Preprocessing preprocessing_from_json(const io::Json& json, const std::string& place);
io::Json to_json(const Preprocessing& preprocessing);

/// The float32 input without batch dimension. Throws Error(kUnsupported) when the image is smaller than the crop, and
/// Error(kLimit) when a step would make it larger than `limits` allow.
tensor::Tensor apply(const Preprocessing& preprocessing, const io::Image& image, const std::string& place,
                     const base::Limits& limits = {});

/// The shape that `apply` gives; kUnknown where it depends on the image.
tensor::Shape output_shape(const Preprocessing& preprocessing);

}  // namespace nibble::data
