#include "io/vocabulary/steps.h"

namespace nibble::io {
namespace {

/// The steps with line ends in patterns spelled as escapes: files hold either.
std::vector<PreTokenizer> with_escapes(std::vector<PreTokenizer> steps) {
  for (PreTokenizer& step : steps) {
    std::string out;
    for (const char c : step.pattern) {
      if (c == '\r')
        out += "\\r";
      else if (c == '\n')
        out += "\\n";
      else
        out += c;
    }
    step.pattern = std::move(out);
  }
  return steps;
}

}  // namespace

std::vector<PreTokenizer> NamedPreTokenizer::steps() const {
  std::vector<PreTokenizer> out;
  for (const std::string_view pattern : patterns) {
    PreTokenizer split;
    split.pattern = pattern;
    out.push_back(std::move(split));
  }
  PreTokenizer bytes;
  bytes.kind = PreTokenizer::Kind::kByteLevel;
  out.push_back(bytes);
  return out;
}

const std::vector<NamedPreTokenizer>& named_pretokenizers() {
  static const std::vector<NamedPreTokenizer> kRows = {
#define NIBBLE_PRETOKENIZER(name, ignore_merges, adds_bos, ...) {name, ignore_merges, adds_bos, {__VA_ARGS__}},
#include "io/vocabulary/pretokenizers.def"
#undef NIBBLE_PRETOKENIZER
  };
  return kRows;
}

const NamedPreTokenizer* find_pretokenizer(std::string_view name) {
  for (const NamedPreTokenizer& row : named_pretokenizers())
    if (row.name == name) return &row;
  return nullptr;
}

std::string name_of_pretokenizer(const std::vector<PreTokenizer>& steps, bool ignore_merges) {
  const auto wanted = with_escapes(steps);
  for (const NamedPreTokenizer& row : named_pretokenizers())
    if (row.ignore_merges == ignore_merges && with_escapes(row.steps()) == wanted) return std::string(row.name);
  return {};
}

std::string_view gpt2_pattern() { return find_pretokenizer("gpt-2")->patterns.front(); }

std::string literal_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    // Letters and digits mean something behind a backslash; bytes of other characters may not stand behind one.
    const bool punctuation = static_cast<unsigned char>(c) > ' ' && static_cast<unsigned char>(c) < 0x7F &&
                             !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    if (punctuation) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace nibble::io
