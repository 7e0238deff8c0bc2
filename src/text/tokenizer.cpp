#include "text/tokenizer.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/sentencepiece.h"
#include "text/token_bytes.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

constexpr size_t kLongestCached = 64;     // bytes of a word that is worth remembering
constexpr size_t kMostCached = 1u << 17;  // words of one text

std::string as_is(std::string_view text) { return std::string(text); }

}  // namespace

struct Tokenizer::Parts {
  io::Vocabulary vocabulary;  // the others refer to it
  NormalizerChain normalizers;
  AddedTokens raw, normalized;
  WordSplitter words;
  std::optional<BpeEncoder> bpe;
  std::optional<SentencePieceEncoder> sentencepiece;
  TokenBytes bytes;
  std::vector<bool> special;

  explicit Parts(io::Vocabulary v)
      : vocabulary(std::move(v)),
        normalizers(vocabulary.normalizers, vocabulary.place),
        raw(vocabulary, false, as_is),
        normalized(vocabulary, true, [this](std::string_view text) { return normalizers.apply(text); }),
        words(vocabulary.pretokenizers, vocabulary.place),
        bytes(token_bytes(vocabulary)),
        special(vocabulary.size()) {
    if (vocabulary.kind == io::VocabularyKind::kBpe)
      bpe.emplace(vocabulary);
    else
      sentencepiece.emplace(vocabulary);
    for (size_t i = 0; i < vocabulary.size(); ++i)
      special[i] = vocabulary.types[i] == io::TokenType::kControl || vocabulary.types[i] == io::TokenType::kUnknown;
    for (const io::AddedToken& token : vocabulary.added) special[static_cast<size_t>(token.id)] = token.special;
  }
};

Tokenizer::Tokenizer(io::Vocabulary vocabulary) {
  io::check_vocabulary(vocabulary, {});
  parts_ = std::make_unique<const Parts>(std::move(vocabulary));
}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

const io::Vocabulary& Tokenizer::vocabulary() const { return parts_->vocabulary; }

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const Parts& p = *parts_;
  std::string valid;
  if (!is_utf8(text)) {
    valid = replace_invalid(text);
    text = valid;
  }
  std::vector<int32_t> out;
  if (options.add_special) out = p.vocabulary.prefix;
  // Words come again and again: their tokens are positions in `cached`.
  std::unordered_map<std::string, std::pair<size_t, size_t>> cache;
  std::vector<int32_t> cached;
  const auto encode_word = [&](std::string_view word) {
    if (p.sentencepiece) return p.sentencepiece->encode(word, out);
    if (word.size() > kLongestCached) return p.bpe->encode(word, out, options.dropped);
    if (const auto it = cache.find(std::string(word)); it != cache.end()) {
      const auto begin = cached.begin() + static_cast<ptrdiff_t>(it->second.first);
      out.insert(out.end(), begin, begin + static_cast<ptrdiff_t>(it->second.second));
      return;
    }
    const size_t before = out.size();
    const int64_t dropped = options.dropped ? *options.dropped : 0;
    p.bpe->encode(word, out, options.dropped);
    const bool whole = !options.dropped || dropped == *options.dropped;  // what is dropped is counted each time
    if (!whole || cache.size() == kMostCached) return;
    cache.emplace(word, std::pair(cached.size(), out.size() - before));
    cached.insert(cached.end(), out.begin() + static_cast<ptrdiff_t>(before), out.end());
  };
  const char* const begin = text.data();
  bool first = true;
  const auto encode_stretch = [&](std::string_view stretch) {
    std::vector<std::unique_ptr<std::string>> storage;
    for (const std::string_view word : p.words.split(stretch, first, storage)) encode_word(word);
    first = false;
  };
  const auto add_token = [&](int32_t id) {
    out.push_back(id);
    first = false;
  };
  p.raw.split(
      text, options.parse_special,
      [&](std::string_view stretch) {
        first = first && stretch.data() == begin;
        const std::string normal = p.normalizers.apply(stretch);
        if (p.normalized.empty())
          encode_stretch(normal);
        else
          p.normalized.split(normal, options.parse_special, encode_stretch, add_token);
      },
      add_token);
  if (options.add_special) out.insert(out.end(), p.vocabulary.suffix.begin(), p.vocabulary.suffix.end());
  return out;
}

const std::string& Tokenizer::token_text(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= size())
    base::fail_usage(vocabulary().place,
                     "has no token " + std::to_string(id) + "; there are " + std::to_string(size()));
  return parts_->bytes.of_token[static_cast<size_t>(id)];
}

bool Tokenizer::is_special(int32_t id) const {
  token_text(id);
  return parts_->special[static_cast<size_t>(id)];
}

bool Tokenizer::is_end(int32_t id) const {
  return std::binary_search(vocabulary().end_ids.begin(), vocabulary().end_ids.end(), id);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  Stream stream(*this, skip_special);
  std::string out;
  for (const int32_t id : ids) out += stream.push(id);
  return out + stream.finish();
}

std::string Tokenizer::Stream::push(int32_t id) {
  const std::string& bytes = tokenizer_->token_text(id);
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  const TokenBytes& rules = tokenizer_->parts_->bytes;
  std::string_view rest = bytes;
  if (!started_ && !rules.strip.empty()) {
    const bool drops = !rules.drops_first.empty() && rules.drops_first[static_cast<size_t>(id)];
    const int most = drops ? 1 : rules.most_stripped;
    while (stripped_ < most && rest.starts_with(rules.strip)) {
      rest.remove_prefix(rules.strip.size());
      ++stripped_;
    }
    // Where a token is all dropped, the next one may still lose the rest.
    started_ = !rest.empty() || !rules.drops_first.empty() || stripped_ >= rules.most_stripped;
  }
  held_ += rest;
  std::string out;
  std::string_view left = held_;
  while (!left.empty()) {
    size_t n = base::utf8_length(left);
    if (n) {
      out += left.substr(0, n);
    } else {
      n = invalid_length(left);
      if (n == 0) break;
      out += "\xEF\xBF\xBD";
    }
    left.remove_prefix(n);
  }
  held_ = std::string(left);
  return out;
}

std::string Tokenizer::Stream::finish() {
  const std::string out = replace_invalid(held_);
  held_.clear();
  return out;
}

}  // namespace nibble::text
