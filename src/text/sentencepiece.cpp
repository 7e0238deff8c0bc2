#include "text/sentencepiece.h"

#include <algorithm>
#include <queue>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

struct Candidate {
  float score;
  int32_t left, right;
  size_t bytes;
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

SentencePieceEncoder::SentencePieceEncoder(const io::Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  byte_tokens_.fill(-1);
  size_t bytes = 0;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string& token = vocabulary.tokens[i];
    const auto id = static_cast<int32_t>(i);
    const io::TokenType type = vocabulary.types[i];
    if (type == io::TokenType::kByte) {
      const auto byte = byte_of_token(token);
      if (!byte)
        base::fail_malformed(vocabulary.place,
                             "calls token " + base::in_quotes(token) + " a byte; bytes look like <0x0A>");
      if (byte_tokens_[*byte] < 0) ++bytes;
      byte_tokens_[*byte] = id;
    }
    if (type == io::TokenType::kUserDefined) user_defined_.add(token, id);
    if (type == io::TokenType::kNormal || type == io::TokenType::kUserDefined || type == io::TokenType::kUnused) {
      pieces_.emplace(token, id);
      longest_ = std::max(longest_, token.size());
    }
  }
  if (bytes != 0 && bytes != 256)
    base::fail_malformed(vocabulary.place, "has tokens for " + std::to_string(bytes) + " of the 256 bytes");
  has_bytes_ = bytes == 256;
  if (!has_bytes_ && !vocabulary.special.unk)
    base::fail_malformed(vocabulary.place, "has neither an unknown token nor tokens for bytes");
}

void SentencePieceEncoder::append(std::string_view piece, const Splits& splits, bool& last_unknown,
                                  std::vector<int32_t>& out) const {
  // Parts are shorter than the whole, and the whole is a token, so the depth is bounded by a token's length.
  const auto it = pieces_.find(piece);
  if (it != pieces_.end()) {
    const auto parts = splits.find(piece);
    if (vocabulary_.types[static_cast<size_t>(it->second)] != io::TokenType::kUnused || parts == splits.end()) {
      out.push_back(it->second);
      last_unknown = false;
      return;
    }
    append(parts->second.left, splits, last_unknown, out);
    append(parts->second.right, splits, last_unknown, out);
    return;
  }
  if (has_bytes_) {
    for (const char c : piece) out.push_back(byte_tokens_[static_cast<uint8_t>(c)]);
    last_unknown = false;
    return;
  }
  // SentencePiece makes one unknown token of unknown characters side by side.
  if (!last_unknown) out.push_back(*vocabulary_.special.unk);
  last_unknown = true;
}

void SentencePieceEncoder::encode(std::string_view text, std::vector<int32_t>& out) const {
  if (text.size() > INT32_MAX) base::fail_limit(vocabulary_.place, "a stretch of this text is longer than 2 GiB");
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const auto found = user_defined_.longest(text.substr(at));
    const size_t n = found ? found->bytes : length_of_lead(text[at]);
    const auto i = static_cast<int32_t>(symbols.size());
    symbols.push_back({text.substr(at, n), i - 1, at + n < text.size() ? i + 1 : -1, found.has_value()});
    at += n;
  }
  std::priority_queue<Candidate> queue;
  Splits unused;  // how unused tokens came about
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol &l = symbols[static_cast<size_t>(left)], &r = symbols[static_cast<size_t>(right)];
    if (l.frozen || r.frozen || l.text.size() + r.text.size() > longest_) return;
    const std::string_view both(l.text.data(), l.text.size() + r.text.size());
    const auto it = pieces_.find(both);
    if (it == pieces_.end()) return;
    queue.push({vocabulary_.scores[static_cast<size_t>(it->second)], left, right, both.size()});
    if (vocabulary_.types[static_cast<size_t>(it->second)] == io::TokenType::kUnused) unused[both] = {l.text, r.text};
  };
  for (size_t i = 1; i < symbols.size(); ++i) consider(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol &left = symbols[static_cast<size_t>(top.left)], &right = symbols[static_cast<size_t>(top.right)];
    if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != top.bytes) continue;
    left.text = std::string_view(left.text.data(), top.bytes);
    right.text = {};
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = top.left;
    consider(left.previous, top.left);
    consider(top.left, left.next);
  }
  bool last_unknown = false;
  for (const Symbol& s : symbols)
    if (!s.text.empty()) append(s.text, unused, last_unknown, out);
}

}  // namespace nibble::text
