#include "quant/calibrate/calibration.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "io/json/json.h"

namespace nibble::quant {

using io::Json;

void Histogram::coarsen() {
  // Floor division by two: bins 2k and 2k + 1 become bin k.
  const int64_t new_first = first >> 1, new_last = (first + static_cast<int64_t>(counts.size()) - 1) >> 1;
  std::vector<uint64_t> merged(static_cast<size_t>(new_last - new_first + 1), 0);
  for (size_t i = 0; i < counts.size(); ++i)
    merged[static_cast<size_t>(((first + static_cast<int64_t>(i)) >> 1) - new_first)] += counts[i];
  counts = std::move(merged);
  first = new_first;
  ++exponent;
}

/// Extends the bins to hold [low, high] (bin numbers); the caller made sure that they fit.
void Histogram::cover(int64_t low, int64_t high) {
  if (counts.empty()) {
    first = low;
    counts.assign(static_cast<size_t>(high - low + 1), 0);
    return;
  }
  const int64_t last = first + static_cast<int64_t>(counts.size()) - 1;
  if (high > last) counts.resize(counts.size() + static_cast<size_t>(high - last), 0);
  if (low < first) {
    counts.insert(counts.begin(), static_cast<size_t>(first - low), 0);
    first = low;
  }
}

void Histogram::add(std::span<const float> values) {
  float low = 0, high = 0;
  bool any = false;
  for (const float v : values) {
    if (v == 0.0f) continue;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
  if (any) {
    const auto bin = [&](float v) {
      return static_cast<int64_t>(std::floor(std::ldexp(static_cast<double>(v), -exponent)));
    };
    if (counts.empty()) {
      // Begin near the final width: as fine as the largest magnitude allows.
      exponent = std::max(-149, std::ilogb(std::max(std::fabs(low), std::fabs(high))) - 13);
    }
    for (;;) {
      const int64_t lowest = counts.empty() ? bin(low) : std::min(first, bin(low));
      const int64_t highest =
          counts.empty() ? bin(high) : std::max(first + static_cast<int64_t>(counts.size()) - 1, bin(high));
      if (highest - lowest < kMostBins) break;
      if (counts.empty())
        ++exponent;
      else
        coarsen();
    }
    cover(bin(low), bin(high));
    const double scale = std::ldexp(1.0, -exponent);
    for (const float v : values)
      if (v != 0.0f)
        ++counts[static_cast<size_t>(static_cast<int64_t>(std::floor(static_cast<double>(v) * scale)) - first)];
  }
  for (const float v : values) zeros += v == 0.0f;
}

void Histogram::merge(const Histogram& other) {
  zeros += other.zeros;
  if (other.empty()) return;
  if (empty()) {
    const uint64_t z = zeros;
    *this = other;
    zeros = z;
    return;
  }
  Histogram b = other;
  while (b.exponent < exponent) b.coarsen();
  while (exponent < b.exponent) coarsen();
  for (;;) {
    const int64_t low = std::min(first, b.first);
    const int64_t high =
        std::max(first + static_cast<int64_t>(counts.size()), b.first + static_cast<int64_t>(b.counts.size()));
    if (high - low <= kMostBins) break;
    coarsen();
    b.coarsen();
  }
  cover(b.first, b.first + static_cast<int64_t>(b.counts.size()) - 1);
  for (size_t i = 0; i < b.counts.size(); ++i) counts[static_cast<size_t>(b.first - first) + i] += b.counts[i];
}

namespace {

/// Folds the value's sums by channel into the running means; double, in the order of the elements.
void observe_channels(ValueStatistics& s, const tensor::Tensor& value, int64_t axis) {
  const auto values = value.values<float>();
  if (axis < 0) axis += value.rank();
  if (axis < 0 || axis >= value.rank()) return;
  const auto channels = static_cast<size_t>(value.shape()[static_cast<size_t>(axis)]);
  size_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < value.shape().size(); ++d)
    inner *= static_cast<size_t>(value.shape()[d]);
  if (s.count == 0) {
    s.channel_mean.assign(channels, 0.0);
    s.channel_mean_square.assign(channels, 0.0);
  }
  if (s.channel_mean.size() != channels) return;
  std::vector<double> sum(channels, 0.0), squares(channels, 0.0);
  for (size_t i = 0; i < values.size(); i += inner) {
    const size_t c = i / inner % channels;
    for (size_t k = i; k < i + inner; ++k) {
      sum[c] += values[k];
      squares[c] += static_cast<double>(values[k]) * values[k];
    }
  }
  const double before = static_cast<double>(s.count) / static_cast<double>(channels),
               added = static_cast<double>(values.size()) / static_cast<double>(channels);
  for (size_t c = 0; c < channels; ++c) {
    s.channel_mean[c] = (s.channel_mean[c] * before + sum[c]) / (before + added);
    s.channel_mean_square[c] = (s.channel_mean_square[c] * before + squares[c]) / (before + added);
  }
}

}  // namespace

void observe(ValueStatistics& s, const std::string& name, const tensor::Tensor& value, int64_t channel_axis) {
  const auto values = value.values<float>();
  if (values.empty()) return;
  float low = values[0], high = values[0];
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      base::fail_malformed("value " + base::in_quotes(name),
                           "is " + std::to_string(values[i]) + " at index " + std::to_string(i) +
                               " when the float network runs on this data",
                           "check the data and the network; a quantized network cannot hold it");
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  observe_channels(s, value, channel_axis);
  s.min = s.count ? std::min(s.min, low) : low;
  s.max = s.count ? std::max(s.max, high) : high;
  s.count += values.size();
  s.histogram.add(values);
}

namespace {

Json statistics_to_json(const ValueStatistics& s) {
  Json::Object o{{"min", static_cast<double>(s.min)}, {"max", static_cast<double>(s.max)}};
  if (s.count == 0) return o;
  o.emplace_back("count", static_cast<int64_t>(s.count));
  Json::Array counts;
  for (const uint64_t c : s.histogram.counts) counts.emplace_back(static_cast<int64_t>(c));
  o.emplace_back("histogram", Json::Object{{"width_exponent", s.histogram.exponent},
                                           {"first_bin", s.histogram.first},
                                           {"zeros", static_cast<int64_t>(s.histogram.zeros)},
                                           {"counts", std::move(counts)}});
  const auto list = [](const std::vector<double>& v) {
    Json::Array a;
    for (const double x : v) a.emplace_back(x);
    return a;
  };
  if (!s.channel_mean.empty()) {
    o.emplace_back("channel_mean", list(s.channel_mean));
    o.emplace_back("channel_mean_square", list(s.channel_mean_square));
  }
  return o;
}

float finite(const Json& json, const std::string& place) {
  const double v = json.number(place);
  if (!(std::fabs(v) <= 3.4028234663852886e38)) base::fail_malformed(place, "is too large for a 32-bit float");
  return static_cast<float>(v);
}

double finite_double(const Json& json, const std::string& place) {
  const double v = json.number(place);
  if (!(std::fabs(v) <= 1e77)) base::fail_malformed(place, "is too large");
  return v;
}

int64_t in_range(const Json& json, int64_t low, int64_t high, const std::string& place) {
  const int64_t v = json.integer(place);
  if (v < low || v > high) base::fail_malformed(place, std::to_string(v) + " is out of range");
  return v;
}

ValueStatistics statistics_from_json(const Json& json, const std::string& place) {
  ValueStatistics s;
  bool has_min = false, has_max = false;
  for (const auto& [key, value] : json.object(place)) {
    const std::string at = place + "." + base::printable(key);
    if (key == "min")
      s.min = finite(value, at), has_min = true;
    else if (key == "max")
      s.max = finite(value, at), has_max = true;
    else if (key == "count")
      s.count = static_cast<uint64_t>(in_range(value, 1, INT64_MAX, at));
    else if (key == "histogram") {
      Histogram& h = s.histogram;
      for (const auto& [part, content] : value.object(at)) {
        const std::string inner = at + "." + base::printable(part);
        if (part == "width_exponent")
          h.exponent = static_cast<int>(in_range(content, -149, 127, inner));
        else if (part == "first_bin")
          h.first = in_range(content, -(int64_t{1} << 24), int64_t{1} << 24, inner);
        else if (part == "zeros")
          h.zeros = static_cast<uint64_t>(in_range(content, 0, INT64_MAX, inner));
        else if (part == "counts") {
          const auto& list = content.array(inner);
          if (static_cast<int64_t>(list.size()) > Histogram::kMostBins)
            base::fail_malformed(inner, "has more than 4096 bins");
          for (const Json& c : list) h.counts.push_back(static_cast<uint64_t>(in_range(c, 0, INT64_MAX, inner)));
        } else
          base::fail_malformed(inner, "is not a key that a histogram has");
      }
    } else if (key == "channel_mean" || key == "channel_mean_square") {
      auto& list = key == "channel_mean" ? s.channel_mean : s.channel_mean_square;
      for (const Json& v : value.array(at)) list.push_back(finite_double(v, at));
    } else
      base::fail_malformed(at, "is not a key that a range has");
  }
  if (!has_min || !has_max) base::fail_malformed(place, "has no min or no max");
  if (s.channel_mean.size() != s.channel_mean_square.size())
    base::fail_malformed(place, "its channel means and mean squares differ in number");
  if (s.min > s.max) base::fail_malformed(place, "its min is above its max");
  if (s.count == 0 && (!s.histogram.empty() || s.histogram.zeros))
    base::fail_malformed(place, "has a histogram but no count");
  return s;
}

}  // namespace

std::string to_json(const Calibration& c) {
  Json::Object activations, weights;
  for (const auto& [name, s] : c.activations) activations.emplace_back(name, statistics_to_json(s));
  for (const auto& [name, s] : c.weights) weights.emplace_back(name, statistics_to_json(s));
  Json::Object all{{"nibble", "ranges"}, {"version", 1}, {"samples", c.samples}, {"source", c.source}};
  if (!c.prepared.empty()) all.emplace_back("prepared", c.prepared);
  all.emplace_back("activations", std::move(activations));
  all.emplace_back("weights", std::move(weights));
  return io::to_text(std::move(all), 1) + "\n";
}

Calibration calibration_from_json(std::string_view text, const std::string& place, const base::Limits& limits) {
  const Json json = io::parse_json(text, place, limits);
  const Json* kind = json.find("nibble");
  const Json* version = json.find("version");
  if (!kind || !kind->if_string() || *kind->if_string() != "ranges")
    base::fail_malformed(place, "is not a ranges file", "--save-ranges writes one");
  if (!version || !version->if_integer() || *version->if_integer() != 1)
    base::fail_unsupported(place, "is a ranges file of another version", "this nibble reads version 1");
  Calibration c;
  for (const auto& [key, value] : json.object(place)) {
    const std::string at = place + ": " + base::printable(key);
    if (key == "samples")
      c.samples = in_range(value, 0, INT64_MAX, at);
    else if (key == "source")
      c.source = value.string(at);
    else if (key == "prepared")
      c.prepared = value.string(at);
    else if (key == "activations" || key == "weights") {
      auto& target = key == "weights" ? c.weights : c.activations;
      for (const auto& [name, entry] : value.object(at))
        target[name] = statistics_from_json(entry, at + "." + base::printable(name));
    } else if (key != "nibble" && key != "version")
      base::fail_malformed(at, "is not a key that a ranges file has");
  }
  return c;
}

}  // namespace nibble::quant
