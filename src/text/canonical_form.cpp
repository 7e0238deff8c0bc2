#include "text/canonical_form.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "text/normalization_table.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

// Hangul syllables decompose by arithmetic (Unicode 15, section 3.12).
constexpr char32_t kS = 0xAC00, kL = 0x1100, kV = 0x1161, kT = 0x11A7;
constexpr char32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

int combining_class(char32_t code) {
  if (code < 0x300) return 0;
  const auto* end = kCombiningRanges + kCombiningRangeCount;
  const auto* it =
      std::lower_bound(kCombiningRanges, end, code, [](const CombiningRange& r, char32_t c) { return r.last < c; });
  return it != end && it->first <= code ? it->combining : 0;
}

void decompose(char32_t code, std::u32string& out) {
  if (code < 0xC0) {
    out += code;
    return;
  }
  if (code >= kS && code < kS + kSCount) {
    const char32_t s = code - kS, t = s % kTCount;
    out += kL + s / (kVCount * kTCount);
    out += kV + s % (kVCount * kTCount) / kTCount;
    if (t) out += kT + t;
    return;
  }
  const auto* end = kCanonicalPairs + kCanonicalPairCount;
  const auto* it =
      std::lower_bound(kCanonicalPairs, end, code, [](const CanonicalPair& p, char32_t c) { return p.code < c; });
  if (it == end || it->code != code) {
    out += code;
    return;
  }
  decompose(it->first, out);  // the second part never decomposes
  if (it->second) out += it->second;
}

/// Puts marks in the order of their classes; marks of one class keep theirs.
void reorder(std::u32string& text) {
  size_t begin = 0;
  while (begin < text.size()) {
    if (combining_class(text[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < text.size() && combining_class(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<ptrdiff_t>(begin), text.begin() + static_cast<ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

/// What two characters compose to, 0 for nothing.
char32_t composed(char32_t first, char32_t second) {
  if (first >= kL && first < kL + kLCount && second >= kV && second < kV + kVCount)
    return kS + ((first - kL) * kVCount + (second - kV)) * kTCount;
  if (first >= kS && first < kS + kSCount && (first - kS) % kTCount == 0 && second > kT && second < kT + kTCount)
    return first + (second - kT);
  static const auto kPairs = [] {
    std::unordered_map<uint64_t, char32_t> pairs;
    for (size_t i = 0; i < kCanonicalPairCount; ++i) {
      const CanonicalPair& p = kCanonicalPairs[i];
      if (p.composes) pairs[static_cast<uint64_t>(p.first) << 32 | p.second] = p.code;
    }
    return pairs;
  }();
  const auto it = kPairs.find(static_cast<uint64_t>(first) << 32 | second);
  return it == kPairs.end() ? 0 : it->second;
}

void compose(std::u32string& text) {
  std::u32string out;
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t starter = kNone;
  int last_class = 0;  // of the character before, since the starter
  for (const char32_t c : text) {
    const int combining = combining_class(c);
    // A mark is blocked by one of its own class or a higher one in between, a starter by any character in between.
    const bool adjacent = starter != kNone && out.size() == starter + 1;
    if (starter != kNone && (adjacent || last_class < combining)) {
      if (const char32_t joined = composed(out[starter], c)) {
        out[starter] = joined;
        continue;
      }
    }
    if (combining == 0) starter = out.size();
    last_class = combining;
    out += c;
  }
  text = std::move(out);
}

std::u32string decomposed(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) decompose(take_code_point(text), out);
  reorder(out);
  return out;
}

std::string to_utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text) append_code_point(out, c);
  return out;
}

/// No character below U+0300 has another form C, alone or behind its like.
bool is_below_marks(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string to_nfc(std::string_view text) {
  if (is_below_marks(text)) return std::string(text);
  std::u32string codes = decomposed(text);
  compose(codes);
  return to_utf8(codes);
}

std::string to_nfd(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  return to_utf8(decomposed(text));
}

}  // namespace nibble::text
