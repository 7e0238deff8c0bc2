#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/vocabulary/vocabulary.h"

namespace nibble::text {

/// What encoding does beyond the text itself.
struct EncodeOptions {
  bool add_special = true;     ///< puts the vocabulary's `prefix` and `suffix` (BOS, EOS) around the tokens
  bool parse_special = false;  ///< control tokens spelled in the text become those tokens: for prompts of templates
  /// Characters (bytes, in a byte-level vocabulary) for which there is neither a token nor an unknown token are an
  /// Error; but where this is given, they are left out, as llama.cpp and Hugging Face's tokenizers do, and counted
  /// here.
  int64_t* dropped = nullptr;
};

/// Text to tokens and back, as the model was trained with. Everything is const and may be used from several threads.
class Tokenizer {
 public:
  /// Throws Error(kUnsupported) for a regular expression that nibble does not know, kMalformed for a vocabulary that
  /// makes no sense.
  explicit Tokenizer(io::Vocabulary vocabulary);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  const io::Vocabulary& vocabulary() const;
  size_t size() const { return vocabulary().size(); }

  /// The tokens of a text. Bytes that are not UTF-8 are U+FFFD first, as Python's errors="replace" has it. Throws
  /// Error(kUnsupported) for a character that the vocabulary has no token for, kLimit where a regular expression needs
  /// too much.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// The text of tokens; bytes that are not UTF-8 come out as U+FFFD. `skip_special` leaves control tokens out. Throws
  /// Error(kUsage) for an id that is no token.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  /// The bytes that a token stands for inside a text; they need not be whole characters.
  const std::string& token_text(int32_t id) const;
  /// Whether it is a control or unknown token.
  bool is_special(int32_t id) const;
  /// Whether it ends a generated text.
  bool is_end(int32_t id) const;

  /// Decodes one token after the other: `push` returns what is certain by then, so that no character is cut in two, and
  /// `finish` the rest. All of it together is what `decode` gives. Must not outlive its Tokenizer.
  class Stream {
   public:
    explicit Stream(const Tokenizer& tokenizer, bool skip_special = true)
        : tokenizer_(&tokenizer), skip_special_(skip_special) {}
    std::string push(int32_t id);
    std::string finish();

   private:
    const Tokenizer* tokenizer_;
    bool skip_special_, started_ = false;
    int stripped_ = 0;
    std::string held_;  ///< bytes that may become a character
  };

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace nibble::text
