#include "text/bpe.h"

#include <queue>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

struct Candidate {
  int32_t rank, at, result;
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
};

std::string spelled_byte(uint8_t byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + '>';
}

}  // namespace

BpeEncoder::BpeEncoder(const io::Vocabulary& vocabulary) : vocabulary_(vocabulary), ids_(io::token_ids(vocabulary)) {
  byte_tokens_.fill(-1);
  for (size_t b = 0; b < 256; ++b) {
    const auto byte = static_cast<uint8_t>(b);
    const auto it = vocabulary.byte_level ? ids_.find(character_of_byte(byte)) : ids_.find(spelled_byte(byte));
    if (it != ids_.end()) byte_tokens_[b] = it->second;
  }
  merges_.reserve(vocabulary.merges.size());
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const io::Merge& m = vocabulary.merges[i];
    // Of a pair that is there twice, the later line holds in Hugging Face's tokenizers, the first in llama.cpp. Files
    // of real models have none; the first is the better rank.
    merges_.emplace(static_cast<uint64_t>(m.left) << 32 | static_cast<uint32_t>(m.right),
                    Ranked{static_cast<int32_t>(i), m.result});
  }
  if (vocabulary.byte_level && vocabulary.ignore_merges) {
    word_bytes_.resize(vocabulary.size());
    for (size_t i = 0; i < vocabulary.size(); ++i)
      if (auto bytes = bytes_of_characters(vocabulary.tokens[i])) {
        word_bytes_[i] = std::move(*bytes);
        words_.emplace(word_bytes_[i], static_cast<int32_t>(i));
      }
  }
}

void BpeEncoder::drop(std::string_view character, int64_t* dropped) const {
  if (dropped) {
    ++*dropped;
    return;
  }
  base::fail_unsupported(vocabulary_.place, "the vocabulary has no token for " + base::in_quotes(character) +
                                                ", and no unknown token to put in its place");
}

void BpeEncoder::split_bytes(std::string_view word, std::vector<Symbol>& symbols, int64_t* dropped) const {
  for (const char c : word) {
    const int32_t token = byte_tokens_[static_cast<uint8_t>(c)];
    if (token >= 0) {
      symbols.push_back({token, 0, 0, 1});
    } else if (vocabulary_.special.unk) {
      const bool fuse =
          vocabulary_.fuse_unknown && !symbols.empty() && symbols.back().token == *vocabulary_.special.unk;
      if (!fuse) symbols.push_back({*vocabulary_.special.unk, 0, 0, 1});
    } else {
      drop(std::string_view(&c, 1), dropped);
    }
  }
}

void BpeEncoder::split_characters(std::string_view word, std::vector<Symbol>& symbols, int64_t* dropped) const {
  bool last_unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, length_of_lead(word[0]));
    word.remove_prefix(character.size());
    const auto it = ids_.find(character);
    if (it != ids_.end()) {
      symbols.push_back({it->second, 0, 0, static_cast<uint32_t>(character.size())});
      last_unknown = false;
      continue;
    }
    bool all_bytes = vocabulary_.byte_fallback;
    for (const char c : character) all_bytes = all_bytes && byte_tokens_[static_cast<uint8_t>(c)] >= 0;
    if (all_bytes) {
      for (const char c : character) symbols.push_back({byte_tokens_[static_cast<uint8_t>(c)], 0, 0, 1});
      last_unknown = false;
    } else if (vocabulary_.special.unk) {
      if (!last_unknown || !vocabulary_.fuse_unknown)
        symbols.push_back({*vocabulary_.special.unk, 0, 0, static_cast<uint32_t>(character.size())});
      last_unknown = true;
    } else {
      drop(character, dropped);
    }
  }
}

void BpeEncoder::merge(std::vector<Symbol>& symbols) const {
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int32_t at) {
    if (at < 0) return;
    const Symbol& left = symbols[static_cast<size_t>(at)];
    if (left.next < 0) return;
    if (const Ranked* merge = rank_of(left.token, symbols[static_cast<size_t>(left.next)].token))
      queue.push({merge->rank, at, merge->result});
  };
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    symbols[static_cast<size_t>(i)].previous = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1 < count ? i + 1 : -1;
  }
  for (int32_t i = 0; i < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<size_t>(top.at)];
    if (left.bytes == 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    const Ranked* merge = rank_of(left.token, right.token);
    if (!merge || merge->result != top.result) continue;  // one of the two has changed since
    left.token = top.result;
    left.bytes += right.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = top.at;
    consider(left.previous);
    consider(top.at);
  }
}

void BpeEncoder::encode(std::string_view word, std::vector<int32_t>& out, int64_t* dropped) const {
  if (vocabulary_.ignore_merges) {
    const auto& whole = vocabulary_.byte_level ? words_ : ids_;
    if (const auto it = whole.find(word); it != whole.end()) {
      out.push_back(it->second);
      return;
    }
  }
  if (word.size() > INT32_MAX) base::fail_limit(vocabulary_.place, "a word of this text is longer than 2 GiB");
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  if (vocabulary_.byte_level)
    split_bytes(word, symbols, dropped);
  else
    split_characters(word, symbols, dropped);
  merge(symbols);
  for (const Symbol& s : symbols)
    if (s.bytes) out.push_back(s.token);
}

}  // namespace nibble::text
