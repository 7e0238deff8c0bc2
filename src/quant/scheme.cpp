#include "quant/scheme.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/error.h"

namespace nibble::quant {
namespace {

using base::fail_usage;

template <typename Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto* row : table) names += (names.empty() ? "" : ", ") + std::string(row->name);
  return names;
}

const fit::ClipRule* clip_rule(std::string_view name, const std::string& place) {
  const auto* rule = fit::find_clip_rule(name);
  if (!rule)
    fail_usage(place, "there is no clip rule " + base::in_quotes(name), "there are " + names_of(fit::all_clip_rules()));
  return rule;
}

int64_t whole_number(std::string_view text, const std::string& place) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size())
    fail_usage(place, base::in_quotes(text) + " is not a whole number");
  return value;
}

void set_format(Scheme& s, const codec::NumberFormat& format) {
  const fit::Map map = fit::supports(format, s.weights.map) ? s.weights.map : fit::Map::kSymmetric;
  s.weights = fit::make_grid(format, map);
  if (format.block != 0) {
    s.group = format.block;
    s.per_tensor = false;
  }
}

Scheme base_scheme(std::string_view name, const std::string& place) {
  Scheme s;
  s.base = std::string(name);
  s.clip = s.activation_clip = clip_rule("mse", place);
  s.round = fit::find_round_method("nearest");
  const auto format = [](std::string_view n) -> const codec::NumberFormat& { return *codec::find_format(n); };
  if (name == "W4A16") {
    s.weights = fit::make_grid(format("uint4"), fit::Map::kAffine);
    s.group = 32;
  } else if (name == "W4A8" || name == "W4A4") {
    s.weights = fit::make_grid(format("int4"), fit::Map::kSymmetric);
    s.activation_bits = name == "W4A8" ? 8 : 4;
  } else if (name == "W8A16" || name == "W8A8") {
    s.weights = fit::make_grid(format("int8"), fit::Map::kRestricted);
    s.activation_bits = name == "W8A8" ? 8 : 16;
  } else {
    fail_usage(place, "there is no scheme " + base::in_quotes(name), "there are W4A16, W4A8, W4A4, W8A16 and W8A8");
  }
  return s;
}

/// The preparations that a scheme can choose.
const Preparation* chosen_preparation(std::string_view name, const std::string& place) {
  std::string names;
  for (const Preparation* p : all_preparations()) {
    if (p->always) continue;
    if (p->name == name) return p;
    names += std::string(p->name) + ", ";
  }
  fail_usage(place, "there is no preparation " + base::in_quotes(name) + " to choose",
             "there are " + names + "and none");
}

Keep parse_keep(std::string_view text, const std::string& place) {
  Keep keep;
  const size_t colon = text.rfind(':');
  const std::string_view bits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const bool has_bits = bits == "8" || bits == "16";
  keep.layers = std::string(has_bits ? text.substr(0, colon) : text);
  if (has_bits) keep.bits = bits == "8" ? 8 : 16;
  if (keep.layers.empty()) fail_usage(place, "keep names no layer", "write first, last, depthwise or a layer's name");
  return keep;
}

}  // namespace

void set_option(Scheme& s, std::string_view option) {
  const std::string place = "scheme option " + base::in_quotes(option);
  const size_t equals = option.find('=');
  if (equals == std::string_view::npos) {
    const auto* format = codec::find_format(option);
    if (!format)
      fail_usage(place, "is neither a number format nor KEY=VALUE", "formats are " + names_of(codec::all_formats()));
    return set_format(s, *format);
  }
  const std::string_view key = option.substr(0, equals), value = option.substr(equals + 1);
  if (key == "format") {
    set_option(s, value);
  } else if (key == "map") {
    const auto map = fit::find_map(value);
    if (!map)
      fail_usage(place, "there is no map " + base::in_quotes(value),
                 "there are minmax, affine, symmetric and restricted");
    if (!fit::supports(*s.weights.format, *map))
      fail_usage(place, "the format " + std::string(s.weights.format->name) + " has no map of that name");
    s.weights = fit::make_grid(*s.weights.format, *map);
  } else if (key == "group") {
    s.per_tensor = value == "tensor";
    s.group = value == "tensor" || value == "channel" ? 0 : whole_number(value, place);
    const bool ok = s.group == 0 || (s.group >= 16 && s.group <= 256);
    if (!ok) fail_usage(place, "a group has 16 to 256 values", "or write group=channel or group=tensor");
    if (s.weights.format->block != 0 && s.group != s.weights.format->block)
      fail_usage(place, "the format " + std::string(s.weights.format->name) + " has groups of " +
                            std::to_string(s.weights.format->block));
  } else if (key == "clip") {
    s.clip = s.activation_clip = clip_rule(value, place);
  } else if (key == "weight-clip") {
    s.clip = clip_rule(value, place);
  } else if (key == "act-clip") {
    s.activation_clip = clip_rule(value, place);
  } else if (key == "round") {
    s.round = fit::find_round_method(value);
    if (!s.round)
      fail_usage(place, "there is no rounding method of that name", "there are " + names_of(fit::all_round_methods()));
  } else if (key == "percentile") {
    double p = 0;
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), p);
    if (status != std::errc{} || end != value.data() + value.size() || !(p > 50 && p <= 100))
      fail_usage(place, "a percentile lies above 50 and is at most 100");
    s.percentile = p;
  } else if (key == "bias-correction") {
    if (value != "on" && value != "off") fail_usage(place, "bias-correction is on or off");
    s.correct_bias = value == "on";
  } else if (key == "positions") {
    if (value != "compute" && value != "all") fail_usage(place, "positions are compute or all");
    s.positions = value == "all" ? Positions::kAll : Positions::kCompute;
  } else if (key == "prepare") {
    if (value == "none") return s.preparations.clear();
    const Preparation* p = chosen_preparation(value, place);
    if (std::find(s.preparations.begin(), s.preparations.end(), p) == s.preparations.end()) s.preparations.push_back(p);
  } else if (key == "keep") {
    s.keep.push_back(parse_keep(value, place));
  } else {
    fail_usage(place, "there is no such key",
               "keys are map, group, clip, weight-clip, act-clip, round, percentile, bias-correction, positions, "
               "prepare and keep");
  }
}

Scheme parse_scheme(std::string_view text) {
  const std::string place = "scheme " + base::in_quotes(text);
  const size_t colon = text.find(':');
  Scheme s = base_scheme(text.substr(0, colon), place);
  if (colon == std::string_view::npos) return s;
  std::string_view rest = text.substr(colon + 1);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    set_option(s, rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return s;
}

std::string to_text(const Scheme& s) {
  std::string text =
      s.base + ":" + std::string(s.weights.format->name) + ",map=" + std::string(fit::name_of(s.weights.map));
  text += ",group=" + (s.per_tensor ? "tensor" : s.group == 0 ? "channel" : std::to_string(s.group));
  text += ",weight-clip=" + std::string(s.clip->name) + ",act-clip=" + std::string(s.activation_clip->name);
  text += ",round=" + std::string(s.round->name);
  char number[32];
  const auto end = std::to_chars(number, number + sizeof number, s.percentile).ptr;
  text += ",percentile=" + std::string(number, end);
  text += std::string(",bias-correction=") + (s.correct_bias ? "on" : "off");
  text += std::string(",positions=") + (s.positions == Positions::kAll ? "all" : "compute");
  for (const Preparation* p : s.preparations) text += ",prepare=" + std::string(p->name);
  for (const Keep& k : s.keep) text += ",keep=" + k.layers + ":" + std::to_string(k.bits);
  return text;
}

std::string preparations_text(const Scheme& s) {
  std::string text;
  for (const Preparation* p : all_preparations())
    if (std::find(s.preparations.begin(), s.preparations.end(), p) != s.preparations.end())
      text += (text.empty() ? "" : ",") + std::string(p->name);
  return text;
}

fit::Grid activation_grid(int bits) {
  return fit::make_grid(*codec::find_format(bits == 4 ? "uint4" : "uint8"), fit::Map::kAffine, codec::ScaleType::kF32);
}

}  // namespace nibble::quant
