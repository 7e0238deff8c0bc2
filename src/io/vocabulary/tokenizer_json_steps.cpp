// The steps of Hugging Face's tokenizer.json. Source: the documentation of the `tokenizers` package and its serialised
// form.
#include "io/vocabulary/tokenizer_json_steps.h"

#include <algorithm>

#include "base/error.h"

namespace nibble::io {
namespace {

[[noreturn]] void refuse(const std::string& place, const char* what, const std::string& name) {
  base::fail_unsupported(place,
                         std::string("has the ") + what + " " + base::in_quotes(name) + ", which nibble does not know");
}

/// The steps of a Sequence, or the one step that this is.
std::vector<const Json*> flattened(const Json* json, const char* what, const char* members, const std::string& place) {
  std::vector<const Json*> out;
  if (!json || json->is_null()) return out;
  if (step_type(*json, what, place) != "Sequence") return {json};
  const Json* list = json->find(members);
  if (!list) base::fail_malformed(place, std::string("has a sequence without ") + base::in_quotes(members));
  for (const Json& step : list->array(place))
    for (const Json* inner : flattened(&step, what, members, place)) out.push_back(inner);
  return out;
}

struct Pattern {
  std::string text;
  bool regex = false;
};

Pattern read_pattern(const Json& step, const std::string& place) {
  const Json* pattern = step.find("pattern");
  if (!pattern) base::fail_malformed(place, "has a step without its \"pattern\"");
  if (const Json* text = pattern->find("String")) return {text->string(place), false};
  if (const Json* text = pattern->find("Regex")) return {text->string(place), true};
  base::fail_malformed(place, "has a pattern that is neither \"String\" nor \"Regex\"");
}

PreTokenizer::Behavior read_behavior(const std::string& name, const std::string& place) {
  using Behavior = PreTokenizer::Behavior;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  refuse(place, "split behavior", name);
}

PreTokenizer split_at(std::string pattern, PreTokenizer::Behavior behavior, bool invert = false) {
  PreTokenizer step;
  step.pattern = std::move(pattern);
  step.behavior = behavior;
  step.invert = invert;
  return step;
}

/// "prepend_scheme", or "add_prefix_space" of older files.
PreTokenizer::Scheme read_scheme(const Json& json, const std::string& place) {
  const std::string name =
      text_of(json, "prepend_scheme", flag_of(json, "add_prefix_space", true, place) ? "always" : "never", place);
  if (name == "always") return PreTokenizer::Scheme::kAlways;
  if (name == "first") return PreTokenizer::Scheme::kFirst;
  if (name == "never") return PreTokenizer::Scheme::kNever;
  refuse(place, "prepend scheme", name);
}

void add_pretokenizer(const Json& json, const std::string& place, std::vector<PreTokenizer>& out) {
  using Behavior = PreTokenizer::Behavior;
  const std::string& type = step_type(json, "pre-tokenizer", place);
  const bool in_bytes = std::any_of(out.begin(), out.end(),
                                    [](const PreTokenizer& p) { return p.kind == PreTokenizer::Kind::kByteLevel; });
  if (in_bytes)
    base::fail_unsupported(place, "has the pre-tokenizer " + base::in_quotes(type) + " behind \"ByteLevel\"");
  if (type == "Split") {
    const Pattern pattern = read_pattern(json, place);
    out.push_back(split_at(pattern.regex ? pattern.text : literal_pattern(pattern.text),
                           read_behavior(text_of(json, "behavior", "", place), place),
                           flag_of(json, "invert", false, place)));
  } else if (type == "ByteLevel") {
    PreTokenizer bytes;
    bytes.kind = PreTokenizer::Kind::kByteLevel;
    bytes.prefix_space = flag_of(json, "add_prefix_space", true, place);
    const bool splits = flag_of(json, "use_regex", true, place);
    // The space is there before the text is cut; without one, the order of the two does not matter.
    if (bytes.prefix_space) out.push_back(bytes);
    if (splits) out.push_back(split_at(std::string(gpt2_pattern()), Behavior::kIsolated));
    if (!bytes.prefix_space) out.push_back(bytes);
  } else if (type == "Digits") {
    out.push_back(
        split_at(flag_of(json, "individual_digits", false, place) ? "\\p{N}" : "\\p{N}+", Behavior::kIsolated));
  } else if (type == "Whitespace") {
    // Its \w+|[^\w\s]+ is Rust's, whose word characters these are.
    const std::string word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}";
    out.push_back(split_at("[" + word + "]+|[^" + word + "\\s]+", Behavior::kRemoved, true));
  } else if (type == "WhitespaceSplit") {
    out.push_back(split_at("\\s", Behavior::kRemoved));
  } else if (type == "Punctuation") {
    // The original knows the punctuation of an old version of Unicode; some hundred marks of rare scripts came later.
    out.push_back(
        split_at("[!-\\/:-@\\[-`{-~\\p{P}]", read_behavior(text_of(json, "behavior", "Isolated", place), place)));
  } else if (type == "CharDelimiterSplit") {
    out.push_back(split_at(literal_pattern(text_of(json, "delimiter", "", place)), Behavior::kRemoved));
  } else if (type == "Metaspace") {
    PreTokenizer step;
    step.kind = PreTokenizer::Kind::kMetaspace;
    step.content = text_of(json, "replacement", std::string(kSpaceMark), place);
    step.scheme = read_scheme(json, place);
    step.cut = flag_of(json, "split", true, place);
    if (step.content.empty()) base::fail_malformed(place, "has a Metaspace without its replacement");
    out.push_back(std::move(step));
  } else {
    refuse(place, "pre-tokenizer", type);
  }
}

}  // namespace

const std::string& step_type(const Json& json, const char* what, const std::string& place) {
  const Json* type = json.find("type");
  if (!type) base::fail_malformed(place, std::string("has a ") + what + " without \"type\"");
  return type->string(place);
}

bool flag_of(const Json& json, const char* key, bool otherwise, const std::string& place) {
  const Json* value = json.find(key);
  return value && !value->is_null() ? value->boolean(place + ": " + key) : otherwise;
}

std::string text_of(const Json& json, const char* key, const std::string& otherwise, const std::string& place) {
  const Json* value = json.find(key);
  return value && !value->is_null() ? value->string(place + ": " + key) : otherwise;
}

std::vector<Normalizer> read_normalizers(const Json* json, const std::string& place) {
  using Kind = Normalizer::Kind;
  std::vector<Normalizer> out;
  for (const Json* step : flattened(json, "normalizer", "normalizers", place)) {
    const std::string& type = step_type(*step, "normalizer", place);
    Normalizer rule;
    if (type == "Prepend") {
      rule.kind = Kind::kPrepend;
      rule.content = text_of(*step, "prepend", "", place);
    } else if (type == "Replace") {
      const Pattern pattern = read_pattern(*step, place);
      rule.kind = Kind::kReplace;
      rule.pattern = pattern.text;
      rule.regex = pattern.regex;
      rule.content = text_of(*step, "content", "", place);
    } else if (type == "NFC") {
      rule.kind = Kind::kNfc;
    } else if (type == "NFD") {
      rule.kind = Kind::kNfd;
    } else if (type == "Strip") {
      rule.kind = Kind::kStrip;
      rule.left = flag_of(*step, "strip_left", true, place);
      rule.right = flag_of(*step, "strip_right", true, place);
    } else {
      refuse(place, "normalizer", type);
    }
    out.push_back(std::move(rule));
  }
  return out;
}

std::vector<PreTokenizer> read_pretokenizers(const Json* json, const std::string& place) {
  std::vector<PreTokenizer> out;
  for (const Json* step : flattened(json, "pre-tokenizer", "pretokenizers", place)) add_pretokenizer(*step, place, out);
  return out;
}

std::vector<DecodeStep> read_decoders(const Json* json, const std::string& place) {
  using Kind = DecodeStep::Kind;
  std::vector<DecodeStep> out;
  for (const Json* step : flattened(json, "decoder", "decoders", place)) {
    const std::string& type = step_type(*step, "decoder", place);
    DecodeStep rule;
    if (type == "ByteLevel") {
      rule.kind = Kind::kByteLevel;
    } else if (type == "Replace") {
      const Pattern pattern = read_pattern(*step, place);
      if (pattern.regex) base::fail_unsupported(place, "has a decoder that replaces matches of a regular expression");
      rule = {Kind::kReplace, pattern.text, text_of(*step, "content", "", place), 0};
    } else if (type == "ByteFallback") {
      rule.kind = Kind::kByteFallback;
    } else if (type == "Fuse") {
      rule.kind = Kind::kFuse;
    } else if (type == "Strip") {
      const Json *start = step->find("start"), *stop = step->find("stop");
      const int64_t from = start ? start->integer(place) : 0, to = stop ? stop->integer(place) : 0;
      if (to != 0) base::fail_unsupported(place, "has a decoder that strips the end of the text");
      if (from < 0 || from > 1'000'000)
        base::fail_malformed(place, "has a decoder that strips " + std::to_string(from) + " characters");
      rule = {Kind::kStrip, {}, text_of(*step, "content", " ", place), static_cast<int>(from)};
    } else if (type == "Metaspace") {
      rule = {Kind::kMetaspace, text_of(*step, "replacement", std::string(kSpaceMark), place), " ",
              read_scheme(*step, place) == PreTokenizer::Scheme::kNever ? 0 : 1};
    } else {
      refuse(place, "decoder", type);
    }
    out.push_back(std::move(rule));
  }
  return out;
}

}  // namespace nibble::io
