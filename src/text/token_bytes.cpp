#include "text/token_bytes.h"

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/normalize.h"

namespace nibble::text {
namespace {

using io::DecodeStep;

std::string stripped(std::string text, const DecodeStep& step) {
  for (int i = 0; i < step.start && !step.content.empty() && text.starts_with(step.content); ++i)
    text.erase(0, step.content.size());
  return text;
}

std::string decoded(std::string token, const io::Vocabulary& vocabulary) {
  for (const DecodeStep& step : vocabulary.decoders) {
    switch (step.kind) {
      case DecodeStep::Kind::kByteLevel:
        // Tokens with other characters, such as added ones with spaces, stand for themselves.
        if (auto bytes = bytes_of_characters(token)) token = std::move(*bytes);
        break;
      case DecodeStep::Kind::kReplace:
      case DecodeStep::Kind::kMetaspace:
        token = replaced(token, step.pattern, step.content);
        break;
      case DecodeStep::Kind::kByteFallback:
        if (const auto byte = byte_of_token(token)) return std::string(1, static_cast<char>(*byte));
        break;
      case DecodeStep::Kind::kFuse:
        return token;
      case DecodeStep::Kind::kStrip:
        token = stripped(std::move(token), step);
        break;
    }
  }
  return token;
}

}  // namespace

TokenBytes token_bytes(const io::Vocabulary& vocabulary) {
  TokenBytes out;
  bool fused = false;
  for (const DecodeStep& step : vocabulary.decoders) {
    if (step.kind == DecodeStep::Kind::kMetaspace && step.start) {
      out.strip = step.content;
      for (const std::string& token : vocabulary.tokens) out.drops_first.push_back(token.starts_with(step.pattern));
    } else if (fused && step.kind == DecodeStep::Kind::kStrip && out.strip.empty()) {
      out.strip = step.content;
      out.most_stripped = step.start;
    } else if (fused && step.kind != DecodeStep::Kind::kFuse) {
      base::fail_unsupported(vocabulary.place, "has a decoder that needs the whole text at once, behind \"Fuse\"");
    }
    fused = fused || step.kind == DecodeStep::Kind::kFuse;
  }
  std::vector<bool> literal(vocabulary.size());
  for (const io::AddedToken& token : vocabulary.added) literal[static_cast<size_t>(token.id)] = true;
  for (size_t i = 0; i < vocabulary.size(); ++i)
    out.of_token.push_back(literal[i] && vocabulary.byte_level ? vocabulary.tokens[i]
                                                               : decoded(vocabulary.tokens[i], vocabulary));
  return out;
}

}  // namespace nibble::text
