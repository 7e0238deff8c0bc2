// The test vectors of llama.cpp's vocabularies: 47 texts and the tokens that each must become.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "io/gguf/read.h"
#include "support/shared_data.h"
#include "text/tokenizer.h"

namespace nibble::text {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> cases(const std::filesystem::path& path) {
  const std::string text = contents(path), separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> out;
  for (size_t at = 0;;) {
    const size_t end = text.find(separator, at);
    if (end == std::string::npos) {
      out.push_back(text.substr(at));  // the last text is empty
      return out;
    }
    out.push_back(text.substr(at, end - at));
    at = end + separator.size();
  }
}

std::vector<std::vector<int32_t>> expected(const std::filesystem::path& path) {
  std::istringstream lines(contents(path));
  std::vector<std::vector<int32_t>> out;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    out.emplace_back();
    for (int32_t id; numbers >> id;) out.back().push_back(id);
  }
  return out;
}

void check_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const auto folder = test::shared_data() / "lm" / "tokenizers";
  const auto texts = cases(folder / (name + ".inp"));
  auto ids = expected(folder / (name + ".out"));
  ids.resize(texts.size());  // and so is its line, which some files leave out
  ASSERT_EQ(texts.size(), 47u);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(texts[i], {.add_special = false}), ids[i])
        << name << ", case " << i << ": " << base::in_quotes(texts[i]);
    EXPECT_EQ(tokenizer.decode(ids[i], false), texts[i]) << name << ", case " << i;
  }
}

TEST(Vectors, of_a_tokenizer_json_agree) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto folder = test::shared_data() / "lm" / "tokenizers";
  check_vectors(Tokenizer(io::read_vocabulary(folder / "smollm2-tokenizer.json", {})), "smollm2");
}

TEST(Vectors, of_the_original_files_agree) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto folder = test::shared_data() / "lm" / "tokenizers";
  check_vectors(Tokenizer(io::read_vocabulary(folder / "gpt2" / "vocab.json", {})), "ggml-vocab-gpt-2.gguf");
  check_vectors(Tokenizer(io::read_vocabulary(folder / "llama2" / "tokenizer.model", {})), "ggml-vocab-llama-spm.gguf");
}

class GgufVectors : public testing::TestWithParam<const char*> {};

TEST_P(GgufVectors, Agree) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const std::string name = std::string("ggml-vocab-") + GetParam() + ".gguf";
  const auto file = io::gguf::read(test::shared_data() / "lm" / "tokenizers" / name, {});
  check_vectors(Tokenizer(io::read_vocabulary(file.metadata, name, {})), name);
}

INSTANTIATE_TEST_SUITE_P(All, GgufVectors,
                         testing::Values("gpt-2", "llama-spm", "llama-bpe", "qwen2", "deepseek-coder"));

}  // namespace
}  // namespace nibble::text
