// Importance matrices in both of their forms, and what is refused.
#include "io/gguf/imatrix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace nibble::io::gguf {
namespace {

/// The older form, byte by byte.
struct Binary {
  std::string bytes;
  Binary& number(int32_t v) {
    bytes.append(reinterpret_cast<const char*>(&v), 4);
    return *this;
  }
  Binary& text(const std::string& t) {
    number(static_cast<int32_t>(t.size()));
    bytes += t;
    return *this;
  }
  Binary& floats(const std::vector<float>& v) {
    bytes.append(reinterpret_cast<const char*>(v.data()), v.size() * 4);
    return *this;
  }
  ImportanceMatrix read() const { return read_imatrix_bytes(base::as_bytes(bytes), nullptr, "old.dat", {}); }
};

Binary one_weight(const std::vector<float>& sums) {
  return Binary()
      .number(1)
      .text("blk.0.attn_q.weight")
      .number(4)
      .number(static_cast<int32_t>(sums.size()))
      .floats(sums);
}

void expect_malformed(const Binary& b, const std::string& says) {
  try {
    b.read();
    FAIL() << says << " was expected";
  } catch (const base::Error& e) {
    EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
  }
}

TEST(ImportanceMatrix, TheOlderFormHoldsMeansTimesCalls) {
  const ImportanceMatrix m = one_weight({8, 4, 0}).number(17).text("wiki.txt").read();
  EXPECT_EQ(column_weights(m, "blk.0.attn_q.weight"), (std::vector<float>{2, 1, 0}));
  EXPECT_TRUE(column_weights(m, "blk.1.attn_q.weight").empty());
  EXPECT_EQ(m.chunks, 17);
  EXPECT_EQ(m.datasets, std::vector<std::string>{"wiki.txt"});
}

TEST(ImportanceMatrix, WhatIsWrittenIsReadBack) {
  ImportanceMatrix m;
  m.weights["blk.0.ffn_up.weight"] = {{1, 2, 3}, 512};
  m.weights["output.weight"] = {{4}, 512};
  m.datasets = {"stories.txt"};
  m.chunks = 1;
  m.chunk_size = 512;
  const auto path = std::filesystem::temp_directory_path() / "nibble_imatrix_test.gguf";
  {
    base::AtomicFile file(path, true);
    write_imatrix(m, file);
    file.commit();
  }
  const ImportanceMatrix back = read_imatrix(path, {});
  std::filesystem::remove(path);
  EXPECT_EQ(back.weights.at("blk.0.ffn_up.weight").sums, (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(back.weights.at("output.weight").count, 512);
  EXPECT_EQ(back.datasets, m.datasets);
  EXPECT_EQ(back.chunk_size, 512);
}

TEST(ImportanceMatrix, NoTokensNoWeights) {
  const ImportanceMatrix m = Binary().number(1).text("w").number(0).number(1).floats({1}).read();
  EXPECT_TRUE(column_weights(m, "w").empty());
}

TEST(ImportanceMatrix, RefusesWhatIsNone) {
  expect_malformed(one_weight({1, -1}), "negative or not finite");
  expect_malformed(one_weight({NAN}), "negative or not finite");
  expect_malformed(Binary().number(0), "neither a GGUF file");
  expect_malformed(Binary().number(-5), "neither a GGUF file");
  expect_malformed(Binary().number(1).number(-1), "negative length");
  expect_malformed(Binary().number(1).text("w").number(1).number(1 << 30), "truncated");
  expect_malformed(
      Binary().number(2).text("w").number(1).number(1).floats({1}).text("w").number(1).number(1).floats({1}), "twice");
  expect_malformed(Binary().number(1 << 30), "limit");
}

}  // namespace
}  // namespace nibble::io::gguf
