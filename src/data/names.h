#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "data/preprocessing.h"

/// The words and numbers of a Preprocessing, in its text and its JSON alike.
namespace nibble::data {

template <typename E>
struct Name {
  std::string_view name;
  E value;
};

inline constexpr Name<io::Orientation> kOrientations[] = {{"stored", io::Orientation::kAsStored},
                                                          {"upright", io::Orientation::kUpright}};
inline constexpr Name<ChannelOrder> kOrders[] = {
    {"rgb", ChannelOrder::kRgb}, {"bgr", ChannelOrder::kBgr}, {"grey", ChannelOrder::kGrey}};
inline constexpr Name<Layout> kLayouts[] = {{"nchw", Layout::kNchw}, {"nhwc", Layout::kNhwc}};
inline constexpr Name<io::Filter> kFilters[] = {
    {"nearest", io::Filter::kNearest}, {"bilinear", io::Filter::kBilinear}, {"bicubic", io::Filter::kBicubic}};

inline constexpr std::string_view kPreprocessingKeys =
    "orientation, order, resize, filter, pad, pad-value, crop, scale, offset, mean, std, layout";

/// "0.5" or "1/255"; nothing unless it is one finite number.
std::optional<double> parse_number(std::string_view text);

template <typename E, size_t N>
std::optional<E> find_name(const Name<E> (&names)[N], std::string_view name) {
  for (const Name<E>& row : names)
    if (row.name == name) return row.value;
  return std::nullopt;
}

template <typename E, size_t N>
std::string name_in(const Name<E> (&names)[N], E value) {
  for (const Name<E>& row : names)
    if (row.value == value) return std::string(row.name);
  return "?";
}

template <typename E, size_t N>
std::string list_names(const Name<E> (&names)[N]) {
  std::string text;
  for (const Name<E>& row : names) text += (text.empty() ? "" : ", ") + std::string(row.name);
  return text;
}

}  // namespace nibble::data
