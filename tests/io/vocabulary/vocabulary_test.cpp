#include "io/vocabulary/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "data/expected_files.h"
#include "io/gguf/read.h"
#include "support/shared_data.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;

/// A tokenizer.json with parts replaced.
std::string json_of(const std::string& change = {}, const std::string& to = {}) {
  std::string text =
      R"({"added_tokens": [{"id": 5, "content": "<s>", "special": true}, {"id": 0, "content": "a", "special": false}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                                                            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                       "special_tokens": {"<s>": {"ids": [5]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2, "c": 4}, "merges": [["a", "b"]]}})";
  if (!change.empty()) {
    const size_t at = text.find(change);
    EXPECT_NE(at, std::string::npos) << change;
    text.replace(at, change.size(), to);
  }
  return text;
}

Vocabulary read_json(const std::string& change = {}, const std::string& to = {}) {
  return read_tokenizer_json(json_of(change, to), "t.json", {});
}

TEST(TokenizerJson, becomes_a_vocabulary) {
  const Vocabulary v = read_json();
  EXPECT_EQ(v.tokens, (std::vector<std::string>{"a", "b", "ab", "[PAD3]", "c", "<s>"}));
  EXPECT_EQ(v.types[3], TokenType::kUnused);
  EXPECT_EQ(v.types[5], TokenType::kControl);
  EXPECT_EQ(v.types[0], TokenType::kUserDefined);
  EXPECT_EQ(v.merges, (std::vector<Merge>{{0, 1, 2}}));
  EXPECT_TRUE(v.byte_level);
  EXPECT_EQ(v.pre, "smollm");
  EXPECT_EQ(v.prefix, (std::vector<int32_t>{5}));
  EXPECT_TRUE(v.adds_bos());
  EXPECT_EQ(read_json("[[\"a\", \"b\"]]", "[\"a b\"]").merges, v.merges) << "merges of older files are one text";
  EXPECT_EQ(read_json("\"individual_digits\": true", "\"individual_digits\": false").pre, "")
      << "GGUF has no name for it";
}

TEST(TokenizerJson, names_what_it_does_not_know) {
  const auto refused = [](const std::string& part, const std::string& change, const std::string& to) {
    expect_error(ErrorKind::kUnsupported, part, [&] { read_json(change, to); });
  };
  refused("normalizer \"NFKC\"", "\"NFC\"", "\"NFKC\"");
  refused("pre-tokenizer \"BertPreTokenizer\"", "\"Digits\"", "\"BertPreTokenizer\"");
  refused("decoder \"WordPiece\"", "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"WordPiece\"}");
  refused("no decoder", "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": null");
  refused("type \"Unigram\"", "\"type\": \"BPE\"", "\"type\": \"Unigram\"");
  refused("\"dropout\"", "\"dropout\": null", "\"dropout\": 0.1");
  refused("\"end_of_word_suffix\"", "\"dropout\": null", "\"end_of_word_suffix\": \"</w>\"");
  refused("post-processor \"BertProcessing\"", "\"TemplateProcessing\"", "\"BertProcessing\"");
  refused("behind \"ByteLevel\"", "{\"type\": \"Digits\"",
          "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}, {\"type\": \"Digits\"");
}

TEST(TokenizerJson, refuses_what_contradicts_itself) {
  const auto refused = [](const std::string& part, const std::string& change, const std::string& to) {
    expect_error(ErrorKind::kMalformed, part, [&] { read_json(change, to); });
  };
  refused("gives the id 1", "\"ab\": 2", "\"ab\": 1");
  refused("id 2000000000", "\"ab\": 2", "\"ab\": 2000000000");
  refused("the id -2", "\"ab\": 2", "\"ab\": -2");
  refused("no token \"z\"", "[[\"a\", \"b\"]]", "[[\"a\", \"z\"]]");
  refused("no token \"ba\"", "[[\"a\", \"b\"]]", "[[\"b\", \"a\"]]");
  refused("a merge of 3", "[[\"a\", \"b\"]]", "[[\"a\", \"b\", \"c\"]]");
  refused("not two tokens", "[[\"a\", \"b\"]]", "[\"a b c\"]");
  refused("which is \"a\"", "\"content\": \"a\"", "\"content\": \"x\"");
  refused("a token with id 900000", "\"id\": 5", "\"id\": 900000");
  refused("unknown token", "\"unk_token\": null", "\"unk_token\": \"<unk>\"");
  refused("with token 7", "\"ids\": [5]", "\"ids\": [7]");
  refused("without \"type\"", "{\"type\": \"NFC\"}", "{}");
  refused("has no \"model\"", "\"model\"", "\"mode\"");
  expect_error(ErrorKind::kMalformed, "", [] { read_tokenizer_json("{", "t.json", {}); });
  base::Limits limits;
  limits.name_bytes = 1;
  expect_error(ErrorKind::kLimit, "name-bytes", [&] { read_tokenizer_json(json_of(), "t.json", limits); });
}

/// Protobuf's wire format.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7F));
  return out + static_cast<char>(value);
}
std::string number_field(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}
std::string bytes_field(int field, const std::string& bytes) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, float score, uint64_t type) {
  std::string number(reinterpret_cast<const char*>(&score), 4);
  return bytes_field(1, bytes_field(1, text) + varint(2 << 3 | 5) + number + number_field(3, type));
}
std::string model_of(const std::string& trainer = number_field(3, 2), const std::string& normalizer = {}) {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("a", -1, 1) + bytes_field(2, trainer) +
         bytes_field(3, normalizer);
}

TEST(TokenizerModel, becomes_a_vocabulary) {
  const Vocabulary v =
      read_tokenizer_model(model_of(number_field(3, 2) + number_field(43, static_cast<uint64_t>(-1))), "t.model", {});
  EXPECT_EQ(v.kind, VocabularyKind::kSentencePiece);
  EXPECT_EQ(v.tokens[3], "a");
  EXPECT_EQ(v.scores[3], -1.0f);
  EXPECT_EQ(v.special.unk, 0);
  EXPECT_EQ(v.special.bos, 1);
  EXPECT_EQ(v.special.eos, 2);
  EXPECT_EQ(v.special.pad, std::nullopt);
  EXPECT_EQ(v.end_ids, (std::vector<int32_t>{2}));
  ASSERT_EQ(v.normalizers.size(), 3u) << "spaces are collapsed, one is put first, and they are written as marks";
  EXPECT_EQ(read_tokenizer_model(model_of(number_field(3, 2), number_field(3, 0) + number_field(4, 0)), "t.model", {})
                .normalizers.size(),
            1u);
}

TEST(TokenizerModel, refuses_what_it_does_not_know_and_what_is_damaged) {
  const auto refused = [](ErrorKind kind, const std::string& part, const std::string& bytes) {
    expect_error(kind, part, [&] { read_tokenizer_model(bytes, "t.model", {}); });
  };
  refused(ErrorKind::kUnsupported, "Unigram", model_of(""));
  refused(ErrorKind::kUnsupported, "the map \"nmt_nfkc\"",
          model_of(number_field(3, 2), bytes_field(1, "nmt_nfkc") + bytes_field(2, "xx")));
  refused(ErrorKind::kUnsupported, "behind words", model_of(number_field(3, 2) + number_field(24, 1)));
  refused(ErrorKind::kUnsupported, "escape", model_of(number_field(3, 2), number_field(5, 0)));
  refused(ErrorKind::kMalformed, "unknown type 9", piece("a", 0, 9) + model_of());
  refused(ErrorKind::kMalformed, "twice", piece("a", 0, 1) + model_of());
  refused(ErrorKind::kMalformed, "the other was expected", number_field(1, 5));
  refused(ErrorKind::kMalformed, "wire type", varint(1 << 3 | 3));
  refused(ErrorKind::kMalformed, "impossible number", varint(0));
  refused(ErrorKind::kMalformed, "more than 10 bytes", std::string(11, '\xff'));
  refused(ErrorKind::kMalformed, "its BOS token is token 77", model_of(number_field(3, 2) + number_field(41, 77)));
  refused(ErrorKind::kMalformed, "without tokens", bytes_field(2, number_field(3, 2)));
  const std::string whole = model_of();
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      read_tokenizer_model(whole.substr(0, size), "t.model", {});
    } catch (const base::Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::kInternal);
    }
  }
}

TEST(Gpt2Files, become_a_vocabulary) {
  const auto read = [](const std::string& merges) {
    return read_gpt2_vocabulary(R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})", merges, "vocab.json", {});
  };
  const Vocabulary v = read("#version: 0.2\r\na b\r\n\n");
  EXPECT_EQ(v.merges, (std::vector<Merge>{{0, 1, 2}}));
  EXPECT_EQ(v.pre, "gpt-2");
  EXPECT_EQ(v.special.eos, 3);
  EXPECT_TRUE(v.added.at(0).special);
  expect_error(ErrorKind::kMalformed, "line 2", [&] { read("a b\nab"); });
  expect_error(ErrorKind::kMalformed, "no token \"ba\"", [&] { read("b a"); });
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "nibble_vocabulary_test";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::filesystem::path folder_;
};

TEST_F(Folder, files_complete_each_other) {
  write("tokenizer.model", model_of());
  write("tokenizer_config.json",
        R"({"add_bos_token": false, "add_eos_token": true, "pad_token": {"content": "<pad>"}, "chat_template":
      [{"name": "tools", "template": "no"}, {"name": "default", "template": "yes"}],
      "added_tokens_decoder": {"4": {"content": "<pad>", "special": true}, "5": {"content": "<x>", "special": false}}})");
  write("generation_config.json", R"({"eos_token_id": [2, 4]})");
  const Vocabulary v = read_vocabulary(folder_, {});
  EXPECT_EQ(v.tokens.at(4), "<pad>");
  EXPECT_EQ(v.types.at(4), TokenType::kControl);
  EXPECT_EQ(v.types.at(5), TokenType::kUserDefined);
  EXPECT_EQ(v.scores.at(5), -1000.0f);
  EXPECT_EQ(v.special.pad, 4);
  EXPECT_TRUE(v.prefix.empty());
  EXPECT_EQ(v.suffix, (std::vector<int32_t>{2}));
  EXPECT_EQ(v.end_ids, (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(v.chat_template, "yes");
  write("chat_template.jinja", "file");
  EXPECT_EQ(read_vocabulary(folder_, {}).chat_template, "file");
}

TEST_F(Folder, tokenizer_json_serves_where_tokenizer_model_is_of_another_kind) {
  write("tokenizer.model", "IQ== 0\nIg== 1\n");
  expect_error(ErrorKind::kUsage, "has no tokenizer.model", [&] { read_vocabulary(folder_, {}); });
  write("tokenizer.json", json_of());
  write("config.json", R"({"eos_token_id": 4, "pad_token_id": 99})");
  const Vocabulary v = read_vocabulary(folder_, {});
  EXPECT_EQ(v.kind, VocabularyKind::kBpe);
  EXPECT_EQ(v.special.bos, 5);
  EXPECT_EQ(v.special.eos, 4);
  EXPECT_EQ(v.special.pad, std::nullopt);
}

TEST_F(Folder, class_names_the_pretokenizer_of_plain_files) {
  write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  expect_error(ErrorKind::kUsage, "no merges.txt", [&] { read_vocabulary(folder_ / "vocab.json", {}); });
  write("merges.txt", "a b\n");
  EXPECT_EQ(read_vocabulary(folder_, {}).pre, "gpt-2");
  write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  EXPECT_EQ(read_vocabulary(folder_, {}).pre, "qwen2");
  write("tokenizer_config.json", R"({"tokenizer_class": "CodeGenTokenizer"})");
  expect_error(ErrorKind::kUnsupported, "CodeGenTokenizer", [&] { read_vocabulary(folder_, {}); });
  expect_error(ErrorKind::kUsage, "no vocabulary", [&] { read_vocabulary(folder_ / "merges.txt", {}); });
}

TEST(GgufVocabulary, is_read_as_it_was_written) {
  for (const Vocabulary& v : {read_json("[{\"id\": 5", "[{\"id\": 3, \"content\": \"x\"}, {\"id\": 5"),
                              read_tokenizer_model(model_of(), "t.model", {})}) {
    gguf::Metadata metadata;
    write_gguf_vocabulary(v, metadata);
    Vocabulary back = read_vocabulary(metadata, v.place, {});
    EXPECT_EQ(back.tokens, v.tokens);
    EXPECT_EQ(back.types, v.types);
    EXPECT_EQ(back.scores, v.scores);
    EXPECT_EQ(back.merges, v.merges);
    EXPECT_EQ(back.pretokenizers, v.pretokenizers);
    EXPECT_EQ(back.decoders, v.decoders);
    EXPECT_EQ(back.special, v.special);
    EXPECT_EQ(back.prefix, v.prefix);
    EXPECT_EQ(back.suffix, v.suffix);
    EXPECT_EQ(back.end_ids, v.end_ids);
    EXPECT_EQ(back.pre, v.pre);
  }
}

TEST(GgufVocabulary, is_filled_up_to_the_rows_of_the_embedding) {
  gguf::Metadata metadata;
  write_gguf_vocabulary(read_json(), metadata, 8);
  EXPECT_EQ(metadata.strings("tokenizer.ggml.tokens")->at(7), "[PAD7]");
  EXPECT_EQ(metadata.integers("tokenizer.ggml.token_type")->at(7), 5);
  expect_error(ErrorKind::kUnsupported, "only 5 rows", [&] { write_gguf_vocabulary(read_json(), metadata, 5); });
}

TEST(GgufVocabulary, refuses_to_write_what_llama_cpp_has_no_word_for) {
  const auto refused = [](const std::string& part, const std::string& change, const std::string& to) {
    gguf::Metadata metadata;
    expect_error(ErrorKind::kUnsupported, part, [&] { write_gguf_vocabulary(read_json(change, to), metadata); });
  };
  refused("a way of its own", "\"individual_digits\": true", "\"individual_digits\": false");
  refused("a way of its own", "{\"type\": \"NFC\"}", "{\"type\": \"Strip\"}");
  refused("without a fallback to bytes", R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})",
          R"({"type": "WhitespaceSplit"})");
  refused("not BOS and EOS", "\"ids\": [5]", "\"ids\": [5, 5]");
}

gguf::Metadata small() {
  gguf::Metadata m;
  m.set("tokenizer.ggml.model", std::string("gpt2"));
  m.set("tokenizer.ggml.pre", std::string("gpt-2"));
  m.set("tokenizer.ggml.tokens", gguf::Array(std::vector<std::string>{"a", "b", "ab"}));
  m.set("tokenizer.ggml.merges", gguf::Array(std::vector<std::string>{"a b"}));
  return m;
}

TEST(GgufVocabulary, refuses_what_it_does_not_know_and_what_is_damaged) {
  const auto refused = [](ErrorKind kind, const std::string& part, const char* key, gguf::Value value) {
    gguf::Metadata m = small();
    m.set(key, std::move(value));
    expect_error(kind, part, [&] { read_vocabulary(m, "x.gguf", {}); });
  };
  EXPECT_EQ(read_vocabulary(small(), "x.gguf", {}).size(), 3u);
  refused(ErrorKind::kUnsupported, "WordPiece", "tokenizer.ggml.model", std::string("bert"));
  refused(ErrorKind::kUnsupported, "\"gemma4\"", "tokenizer.ggml.model", std::string("gemma4"));
  refused(ErrorKind::kUnsupported, "pre-tokenizer \"superbpe\"", "tokenizer.ggml.pre", std::string("superbpe"));
  refused(ErrorKind::kUnsupported, "add_space_prefix", "tokenizer.ggml.add_space_prefix", true);
  refused(ErrorKind::kMalformed, "token types", "tokenizer.ggml.token_type", gguf::Array(std::vector<int32_t>{1}));
  refused(ErrorKind::kMalformed, "unknown type 7", "tokenizer.ggml.token_type",
          gguf::Array(std::vector<int32_t>{1, 1, 7}));
  refused(ErrorKind::kMalformed, "no token \"ba\"", "tokenizer.ggml.merges",
          gguf::Array(std::vector<std::string>{"b a"}));
  refused(ErrorKind::kMalformed, "merge 0", "tokenizer.ggml.merges", gguf::Array(std::vector<std::string>{""}));
  refused(ErrorKind::kMalformed, "is 3, but", "tokenizer.ggml.eos_token_id", uint32_t{3});
  refused(ErrorKind::kMalformed, "names no BOS", "tokenizer.ggml.add_bos_token", true);
  refused(ErrorKind::kMalformed, "twice", "tokenizer.ggml.tokens",
          gguf::Array(std::vector<std::string>{"a", "b", "a"}));
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.pre", "tokenizer.ggml.model"}) {
    gguf::Metadata m = small();
    m.erase(key);
    EXPECT_THROW(read_vocabulary(m, "x.gguf", {}), base::Error) << key;
  }
}

TEST(PreTokenizers, have_names_that_are_unique) {
  for (const auto& row : named_pretokenizers()) {
    EXPECT_EQ(find_pretokenizer(row.name), &row) << row.name;
    const NamedPreTokenizer* written = find_pretokenizer(name_of_pretokenizer(row.steps(), row.ignore_merges));
    ASSERT_NE(written, nullptr) << row.name;
    EXPECT_EQ(written->patterns, row.patterns) << row.name;
  }
}

}  // namespace
}  // namespace nibble::io
