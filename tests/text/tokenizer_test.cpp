#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/expected_files.h"
#include "support/shared_data.h"
#include "text/byte_alphabet.h"

namespace nibble::text {
namespace {

using base::ErrorKind;
using io::TokenType;
using test::expect_error;
using Ids = std::vector<int32_t>;

/// All bytes (id = byte), " h" 256, "el" 257, "lo" 258, "llo" 259, and the control tokens <s> 260, <|end|> 261.
io::Vocabulary byte_vocabulary() {
  io::Vocabulary v;
  v.place = "x.gguf";
  v.byte_level = true;
  for (int b = 0; b < 256; ++b) v.tokens.emplace_back(character_of_byte(static_cast<uint8_t>(b)));
  for (const char* token : {"Ġh", "el", "lo", "llo", "<s>", "<|end|>"}) v.tokens.emplace_back(token);
  v.types.assign(v.size(), TokenType::kNormal);
  v.types[260] = v.types[261] = TokenType::kControl;
  v.merges = {{' ', 'h', 256}, {'l', 'o', 258}, {'l', 258, 259}, {'e', 'l', 257}};
  v.pretokenizers = io::find_pretokenizer("gpt-2")->steps();
  v.decoders = {{io::DecodeStep::Kind::kByteLevel, {}, {}}};
  v.added = {{.id = 260, .special = true}, {.id = 261, .special = true}};
  v.special.bos = 260;
  v.prefix = {260};
  io::find_end_ids(v, {});
  return v;
}

/// SentencePiece: <unk> 0, <s> 1, the 256 bytes from 2, then pieces by falling score.
io::Vocabulary piece_vocabulary(bool with_bytes) {
  io::Vocabulary v;
  v.place = "x.model";
  v.kind = io::VocabularyKind::kSentencePiece;
  const auto add = [&](std::string token, TokenType type) {
    v.scores.push_back(-static_cast<float>(v.size()));
    v.tokens.push_back(std::move(token));
    v.types.push_back(type);
  };
  add("<unk>", TokenType::kUnknown);
  add("<s>", TokenType::kControl);
  for (int b = 0; b < (with_bytes ? 256 : 0); ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
    add(name, TokenType::kByte);
  }
  for (const char* token : {"ab", "▁a", "abc", "▁", "a", "b", "c"}) add(token, TokenType::kNormal);
  v.special.unk = 0;
  v.special.bos = 1;
  v.added = {{.id = 0, .special = true}, {.id = 1, .special = true}};
  v.normalizers = {{io::Normalizer::Kind::kPrepend, {}, "▁"}, {io::Normalizer::Kind::kReplace, " ", "▁"}};
  v.decoders = {{io::DecodeStep::Kind::kReplace, "▁", " "},
                {io::DecodeStep::Kind::kByteFallback, {}, {}},
                {io::DecodeStep::Kind::kFuse, {}, {}},
                {io::DecodeStep::Kind::kStrip, {}, " ", 1}};
  return v;
}

TEST(Tokenizer, merges_the_best_pair_first) {
  const Tokenizer tokenizer(byte_vocabulary());
  // "lo" has a better rank than "el", and leaves "llo" to be made of it.
  EXPECT_EQ(tokenizer.encode("hello hello", {.add_special = false}), (Ids{'h', 'e', 259, 256, 'e', 259}));
  EXPECT_EQ(tokenizer.encode("el"), (Ids{260, 257}));
  EXPECT_EQ(tokenizer.encode(""), (Ids{260}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("hello Ä\xff")), "hello Ä\uFFFD");
}

TEST(Tokenizer, finds_control_tokens_only_where_asked) {
  const Tokenizer tokenizer(byte_vocabulary());
  EXPECT_EQ(tokenizer.encode("el<|end|>el", {.add_special = false, .parse_special = true}), (Ids{257, 261, 257}));
  EXPECT_EQ(tokenizer.encode("<s>", {.add_special = false}), (Ids{'<', 's', '>'}));
  EXPECT_TRUE(tokenizer.is_end(261));
  EXPECT_FALSE(tokenizer.is_end(260));
  EXPECT_TRUE(tokenizer.is_special(260));
  EXPECT_EQ(tokenizer.decode(Ids{260, 257, 261}), "el");
  EXPECT_EQ(tokenizer.decode(Ids{260, 257, 261}, false), "<s>el<|end|>");
}

TEST(Tokenizer, added_tokens_take_white_space_and_respect_words) {
  io::Vocabulary v = byte_vocabulary();
  v.added[1].lstrip = v.added[1].rstrip = true;
  v.tokens[259] = "the";
  v.merges.erase(v.merges.begin() + 2);
  v.added.push_back({.id = 259, .single_word = true});
  const Tokenizer tokenizer(std::move(v));
  const EncodeOptions special{.add_special = false, .parse_special = true};
  EXPECT_EQ(tokenizer.encode("a \n<|end|>\t b", special), (Ids{'a', 261, 'b'}));
  EXPECT_EQ(tokenizer.encode("the", special), (Ids{259}));
  EXPECT_EQ(tokenizer.encode("other the-", special), (Ids{'o', 't', 'h', 'e', 'r', ' ', 259, '-'}));
}

TEST(Tokenizer, ignore_merges_takes_words_whole) {
  io::Vocabulary v = byte_vocabulary();
  v.tokens[261] = "el";
  v.tokens[257] = "xy";
  v.types[261] = TokenType::kNormal;
  v.added.pop_back();
  v.merges.clear();
  v.end_ids.clear();
  EXPECT_EQ(Tokenizer(v).encode("el", {.add_special = false}), (Ids{'e', 'l'}));
  v.ignore_merges = true;
  EXPECT_EQ(Tokenizer(v).encode("el", {.add_special = false}), (Ids{261}));
}

TEST(Tokenizer, bytes_without_a_token_are_an_error_or_counted) {
  io::Vocabulary v = byte_vocabulary();
  v.tokens['x'] = "[no x]";
  const Tokenizer tokenizer(std::move(v));
  expect_error(ErrorKind::kUnsupported, "no token for \"x\"", [&] { tokenizer.encode("axb xx"); });
  int64_t dropped = 0;
  EXPECT_EQ(tokenizer.encode("axb xx xx", {.add_special = false, .dropped = &dropped}), (Ids{'a', 'b', ' ', ' '}));
  EXPECT_EQ(dropped, 5);
}

TEST(Tokenizer, joins_the_pieces_with_the_highest_score) {
  const Tokenizer tokenizer(piece_vocabulary(false));
  // ids: ab 2, ▁a 3, abc 4, ▁ 5, a 6, b 7, c 8; "ab" comes before "▁a", and then makes "abc".
  EXPECT_EQ(tokenizer.encode("abc a"), (Ids{5, 4, 3}));
  EXPECT_EQ(tokenizer.encode("xyb"), (Ids{5, 0, 7})) << "unknown characters side by side are one token";
  EXPECT_EQ(tokenizer.encode(""), (Ids{}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("abc a")), "abc a");
  const Tokenizer bytes(piece_vocabulary(true));
  EXPECT_EQ(bytes.encode("é"), (Ids{261, 2 + 0xC3, 2 + 0xA9}));
  EXPECT_EQ(bytes.decode(bytes.encode("é a")), "é a");
  EXPECT_EQ(bytes.encode("<s>", {.parse_special = true}), (Ids{1}));
  EXPECT_EQ(bytes.encode("<0x41>").size(), 7u) << "a byte's token is not found in a text";
}

TEST(Tokenizer, takes_unused_pieces_apart_and_keeps_user_defined_ones) {
  io::Vocabulary v = piece_vocabulary(false);
  v.types[4] = TokenType::kUnused;
  EXPECT_EQ(Tokenizer(v).encode("abc"), (Ids{5, 2, 8}));
  v.types[4] = TokenType::kUserDefined;
  v.types[2] = TokenType::kUnused;
  EXPECT_EQ(Tokenizer(v).encode("abcb"), (Ids{5, 4, 7}));
}

/// Tokens of one byte each: what comes out is whole characters, and all together what `decode` gives.
TEST(Tokenizer, streams_whole_characters) {
  const Tokenizer tokenizer(byte_vocabulary());
  for (const std::string text : {"Aé€😀!", "a\xf0\x9f\x98", "\xe2\x82z\xff", "\xf0\x9f\xe2\x82\xac"}) {
    Ids ids;
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    Tokenizer::Stream stream(tokenizer);
    std::string all;
    for (const int32_t id : ids) {
      const std::string part = stream.push(id);
      for (std::string_view rest = part; !rest.empty();) {
        const size_t n = base::utf8_length(rest);
        ASSERT_NE(n, 0u);
        rest.remove_prefix(n);
      }
      all += part;
    }
    all += stream.finish();
    EXPECT_EQ(all, tokenizer.decode(ids));
  }
  Tokenizer::Stream stream(tokenizer);
  EXPECT_EQ(stream.push(0xE2), "");
  EXPECT_EQ(stream.push(0x82), "");
  EXPECT_EQ(stream.push(0xAC), "€");
}

TEST(Tokenizer, drops_the_first_space_once) {
  const Tokenizer tokenizer(piece_vocabulary(false));
  Tokenizer::Stream stream(tokenizer);
  EXPECT_EQ(stream.push(1), "") << "a control token is no beginning";
  EXPECT_EQ(stream.push(5), "");
  EXPECT_EQ(stream.push(3), " a");
  EXPECT_EQ(tokenizer.decode(Ids{1, 3, 3}), "a a");
  EXPECT_EQ(tokenizer.decode(Ids{1, 3}, false), "<s> a");
}

TEST(Tokenizer, long_words_take_no_quadratic_time) {
  // A million characters without a space: at a quadratic cost this would run for minutes.
  std::string text;
  for (int i = 0; i < 250'000; ++i) text += "elloabca"[i % 8];
  EXPECT_GT(Tokenizer(byte_vocabulary()).encode(text).size(), text.size() / 4);
  EXPECT_GT(Tokenizer(piece_vocabulary(true)).encode(text + text + text + text).size(), text.size() / 4);
}

TEST(Tokenizer, refuses_ids_that_are_no_token_and_vocabularies_that_make_no_sense) {
  const Tokenizer tokenizer(byte_vocabulary());
  expect_error(ErrorKind::kUsage, "no token 262", [&] { tokenizer.decode(Ids{262}); });
  expect_error(ErrorKind::kUsage, "no token -1", [&] { tokenizer.token_text(-1); });
  const auto refused = [](ErrorKind kind, const std::string& part, auto&& change) {
    io::Vocabulary v = piece_vocabulary(true);
    change(v);
    expect_error(kind, part, [&] { Tokenizer{v}; });
  };
  refused(ErrorKind::kMalformed, "token types", [](auto& v) { v.types.pop_back(); });
  refused(ErrorKind::kMalformed, "scores", [](auto& v) { v.scores.pop_back(); });
  refused(ErrorKind::kMalformed, "empty token", [](auto& v) { v.tokens[3].clear(); });
  refused(ErrorKind::kMalformed, "255 of the 256 bytes", [](auto& v) { v.types[3] = TokenType::kNormal; });
  refused(ErrorKind::kMalformed, "calls token \"ab\" a byte", [](auto& v) { v.types[258] = TokenType::kByte; });
  refused(ErrorKind::kMalformed, "finite", [](auto& v) { v.scores[0] = NAN; });
  refused(ErrorKind::kMalformed, "an added token is token 999", [](auto& v) { v.added[0].id = 999; });
  refused(ErrorKind::kUnsupported, "whole text", [](auto& v) {
    v.decoders.push_back({io::DecodeStep::Kind::kByteLevel, {}, {}});
  });
  io::Vocabulary twice = byte_vocabulary();
  twice.tokens[1] = twice.tokens[2];
  expect_error(ErrorKind::kMalformed, "twice", [&] { Tokenizer{twice}; });
}

TEST(Tokenizer, wordpiece_is_refused_by_name) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto folder = test::shared_data() / "lm" / "tokenizers";
  expect_error(ErrorKind::kUnsupported, "WordPiece",
               [&] { io::read_vocabulary(folder / "ggml-vocab-bert-bge.gguf", {}); });
  expect_error(ErrorKind::kUnsupported, "WordPiece",
               [&] { io::read_vocabulary(folder / "bert" / "tokenizer.json", {}); });
}

}  // namespace
}  // namespace nibble::text
