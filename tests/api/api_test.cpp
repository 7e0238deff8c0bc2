// The public face: what a user of the library relies on. The network is the example that ships.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "nibble/nibble.h"

namespace nibble {
namespace {

const std::filesystem::path kGlyphs = std::filesystem::path(NIBBLE_SOURCE_DIR) / "examples/glyphs";

class Api : public ::testing::Test {
 protected:
  Api() : folder_(std::filesystem::path(::testing::TempDir()) / ("nibble-api-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Api() override { std::filesystem::remove_all(folder_); }

  std::string bytes_of(const std::filesystem::path& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Batch ramp(int64_t samples) const {
    Batch batch{{{{samples, 1, 28, 28}, {}}}, {}};
    for (int64_t i = 0; i < samples * 28 * 28; ++i)
      batch.inputs[0].values.push_back(static_cast<float>(i % 97) / 97.0f);
    return batch;
  }

  const std::filesystem::path folder_;
  const Network network_ = Network::open(kGlyphs / "glyphs.onnx");
};

template <typename F>
void expect_error(ErrorKind kind, const std::string& part, F f) {
  try {
    f();
    FAIL() << "nothing was thrown; expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST_F(Api, DescribesANetwork) {
  ASSERT_EQ(network_.inputs().size(), 1u);
  EXPECT_EQ(network_.inputs()[0].type, "f32");
  EXPECT_EQ(network_.inputs()[0].shape, (std::vector<int64_t>{-1, 1, 28, 28}));
  ASSERT_EQ(network_.outputs().size(), 1u);
  EXPECT_EQ(network_.outputs()[0].shape.at(1), static_cast<int64_t>(network_.classes().size()));
  EXPECT_EQ(network_.bits_per_weight(), 32.0);
  EXPECT_EQ(network_.scheme(), "");
  EXPECT_EQ(network_.file_bytes(), static_cast<int64_t>(std::filesystem::file_size(kGlyphs / "glyphs.onnx")));
}

TEST_F(Api, RunGivesTheSameBytesForAnyNumberOfThreads) {
  const auto one = Session(network_, 1).run(ramp(3).inputs), four = Session(network_, 4).run(ramp(3).inputs);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].shape, four[0].shape);
  EXPECT_EQ(one[0].values, four[0].values);
}

TEST_F(Api, WhatIsSavedIsWhatWasQuantized) {
  const Quantized q = quantize(network_, {.scheme = "W4A16", .threads = 2});
  const Saved saved = q.network.save(folder_ / "small.onnx");
  EXPECT_EQ(saved.bytes, std::filesystem::file_size(folder_ / "small.onnx"));
  const Network back = Network::open(folder_ / "small.onnx");
  EXPECT_EQ(back.scheme(), q.scheme);
  EXPECT_EQ(back.classes(), network_.classes());
  EXPECT_EQ(back.weights(), network_.weights());
  EXPECT_EQ(back.bits_per_weight(), q.network.bits_per_weight());
  EXPECT_LT(back.bits_per_weight(), 4.7);
  EXPECT_EQ(Session(back).run(ramp(2).inputs)[0].values, Session(q.network).run(ramp(2).inputs)[0].values);
}

TEST_F(Api, TheOtherStyleHoldsTheSameNetwork) {
  const std::string scheme = "W4A16:group=128";
  const Quantized plain = quantize(network_, {.scheme = scheme});
  const Quantized q = quantize(network_, {.scheme = scheme, .style = OnnxStyle::kMatMulNBits});
  q.network.save(folder_ / "packed.onnx", {.style = OnnxStyle::kMatMulNBits});
  const auto want = Session(plain.network).run(ramp(2).inputs)[0].values;
  EXPECT_EQ(Session(q.network).run(ramp(2).inputs)[0].values, want);
  EXPECT_EQ(Session(Network::open(folder_ / "packed.onnx")).run(ramp(2).inputs)[0].values.size(), want.size());
}

TEST_F(Api, PreparationsSayWhatTheyDid) {
  EXPECT_TRUE(quantize(network_, {.scheme = "W4A16"}).prepared.empty());
  const Quantized q = quantize(network_, {.scheme = "W4A16:prepare=equalize"});
  ASSERT_EQ(q.prepared.size(), 1u);
  EXPECT_EQ(q.prepared[0].substr(0, 10), "equalize: ");
}

TEST_F(Api, TheSpelledOutSchemeAndSavedRangesGiveTheSameFile) {
  const Dataset data(kGlyphs / "calib.zip", network_, {.shuffle = 1, .samples = 48});
  const Quantized q = quantize(network_, {.scheme = "W4A8", .threads = 1}, data.batches());
  const Quantized again = quantize(network_, {.scheme = q.scheme, .ranges = q.ranges, .threads = 3});
  q.network.save(folder_ / "a.onnx");
  again.network.save(folder_ / "b.onnx");
  EXPECT_EQ(bytes_of(folder_ / "a.onnx"), bytes_of(folder_ / "b.onnx"));
}

TEST_F(Api, LayersSayWhatBecameOfThem) {
  const Quantized q = quantize(network_, {.scheme = "W4A16:keep=first:16,keep=last:8"});
  ASSERT_GE(q.layers.size(), 3u);
  EXPECT_EQ(q.layers.front().format, "f32");
  EXPECT_TRUE(std::isinf(q.layers.front().sqnr_db));
  EXPECT_NE(q.layers.front().note, "");
  EXPECT_EQ(q.layers.back().format, "int8");
  EXPECT_EQ(q.layers[1].format, "uint4");
  EXPECT_GT(q.layers[1].sqnr_db, 15.0);
  EXPECT_GT(q.layers.back().sqnr_db, q.layers[1].sqnr_db + 12.0);
}

TEST_F(Api, ANetworkComparedWithItselfLosesNothing) {
  const Dataset data(kGlyphs / "test.zip", network_, {.shuffle = 3, .samples = 40});
  const Comparison c = compare(network_, network_, data.batches());
  EXPECT_EQ(c.samples, 40);
  EXPECT_EQ(c.labelled, 40);
  EXPECT_EQ(c.same_answer, 40);
  EXPECT_EQ(c.before_right, c.after_right);
  EXPECT_EQ(c.lost + c.won, 0);
  EXPECT_EQ(c.kl_mean, 0.0);
  EXPECT_EQ(c.relative_error, 0.0);
  EXPECT_EQ(c.p_value, 1.0);
}

TEST_F(Api, CompareCountsFlips) {
  // Labels are the float network's own answers, so that every changed answer is a lost one and none is won.
  const Quantized q = quantize(network_, {.scheme = "W4A16:group=tensor,clip=minmax,map=symmetric,int4"});
  const Dataset data(kGlyphs / "test.zip", network_, {.shuffle = 3, .samples = 320});
  Session session(network_);
  const NextBatch next = data.batches();
  const Comparison c = compare(network_, q.network, [&]() -> std::optional<Batch> {
    auto batch = next();
    if (!batch) return batch;
    const Array y = session.run(batch->inputs)[0];
    const auto classes = static_cast<std::ptrdiff_t>(y.shape[1]);
    for (size_t i = 0; i < batch->labels.size(); ++i) {
      const auto row = y.values.begin() + static_cast<std::ptrdiff_t>(i) * classes;
      batch->labels[i] = std::max_element(row, row + classes) - row;
    }
    batch->labels[0] = -1;  // unknown: not counted
    return batch;
  });
  EXPECT_EQ(c.samples, 320);
  EXPECT_EQ(c.labelled, 300);
  EXPECT_EQ(c.before_right, 300);
  EXPECT_EQ(c.won, 0);
  EXPECT_EQ(c.lost, 300 - c.after_right);
  EXPECT_GT(c.lost, 0);
  EXPECT_LE(c.lost, 320 - c.same_answer);
  EXPECT_DOUBLE_EQ(c.top1_change, -static_cast<double>(c.lost) / 300);
  EXPECT_LE(c.top1_change_interval.low, c.top1_change);
  EXPECT_GE(c.top1_change_interval.high, c.top1_change);
  EXPECT_GT(c.kl_mean, 0.0);
  EXPECT_LT(c.kl_interval.low, c.kl_mean);
  EXPECT_GT(c.kl_interval.high, c.kl_mean);
}

TEST_F(Api, DataSetsHandOutTheirSamplesInBatches) {
  const Dataset data(kGlyphs / "test.zip", network_, {.samples = 35});
  EXPECT_EQ(data.size(), 35);
  EXPECT_TRUE(data.has_labels());
  std::vector<int64_t> sizes;
  const NextBatch next = data.batches(34);
  while (const auto batch = next()) {
    sizes.push_back(batch->inputs.at(0).shape.at(0));
    EXPECT_EQ(batch->labels.size(), static_cast<size_t>(sizes.back()));
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{16, 16, 2}));
  EXPECT_EQ(data.batch(33, 16).labels.size(), 2u);
  EXPECT_TRUE(data.batch(35, 1).inputs.empty());
}

TEST_F(Api, ErrorsOfTheCallersOwnFunctionPass) {
  struct Stop {};
  EXPECT_THROW(quantize(network_, {.scheme = "W4A8"}, []() -> std::optional<Batch> { throw Stop{}; }), Stop);
  EXPECT_THROW(compare(network_, network_, []() -> std::optional<Batch> { throw Stop{}; }), Stop);
}

TEST_F(Api, RefusesFilesThatItCannotOpen) {
  expect_error(ErrorKind::kIo, "nowhere.onnx", [&] { Network::open(folder_ / "nowhere.onnx"); });
  std::ofstream(folder_ / "broken.onnx") << "this is no network";
  expect_error(ErrorKind::kMalformed, "broken.onnx", [&] { Network::open(folder_ / "broken.onnx"); });
  expect_error(ErrorKind::kIo, "nowhere.zip", [&] { Dataset(folder_ / "nowhere.zip", network_); });
}

TEST_F(Api, RefusesToOverwrite) {
  std::filesystem::copy_file(kGlyphs / "glyphs.onnx", folder_ / "own.onnx");
  const Network own = Network::open(folder_ / "own.onnx");
  const Quantized q = quantize(own);
  expect_error(ErrorKind::kUsage, "input", [&] { q.network.save(folder_ / "own.onnx", {.force = true}); });
  std::ofstream(folder_ / "there.onnx") << "x";
  expect_error(ErrorKind::kUsage, "exists", [&] { q.network.save(folder_ / "there.onnx"); });
  q.network.save(folder_ / "there.onnx", {.force = true});
  EXPECT_GT(std::filesystem::file_size(folder_ / "there.onnx"), 1000u);
}

TEST_F(Api, RefusesSchemesThatItCannotCarryOut) {
  expect_error(ErrorKind::kUsage, "W5A5", [&] { quantize(network_, {.scheme = "W5A5"}); });
  expect_error(ErrorKind::kUsage, "calibration", [&] { quantize(network_, {.scheme = "W4A8"}); });
  expect_error(ErrorKind::kUsage, "no samples",
               [&] { quantize(network_, {.scheme = "W4A8"}, [] { return std::optional<Batch>(); }); });
  expect_error(ErrorKind::kUsage, "no inputs",
               [&] { quantize(network_, {.scheme = "W4A8"}, [] { return std::optional<Batch>(Batch{}); }); });
  expect_error(ErrorKind::kMalformed, "ranges", [&] { quantize(network_, {.scheme = "W4A8", .ranges = "{"}); });
  const Quantized nf4 = quantize(network_, {.scheme = "W4A16:nf4"});
  expect_error(ErrorKind::kUnsupported, "nf4", [&] { nf4.network.save(folder_ / "nf4.onnx"); });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "nf4.onnx"));
}

TEST_F(Api, RefusesInputsThatDoNotFit) {
  Session session(network_);
  const auto run = [&](Array array) { session.run({std::move(array)}); };
  expect_error(ErrorKind::kUsage, "inputs", [&] { session.run({}); });
  expect_error(ErrorKind::kUsage, "not the shape of 3 values", [&] { run({{1, 1, 28, 28}, {1, 2, 3}}); });
  expect_error(ErrorKind::kUsage, "negative", [&] { run({{-1, 1, 28, 28}, {}}); });
  // A product of sizes that would overflow to 0.
  expect_error(ErrorKind::kUsage, "not the shape", [&] { run({{int64_t{1} << 32, int64_t{1} << 32}, {}}); });
  expect_error(ErrorKind::kUsage, "shape", [&] { run({{1, 1, 14, 28}, std::vector<float>(14 * 28)}); });
  expect_error(ErrorKind::kUsage, "threads", [&] { Session(network_, -1); });
}

TEST_F(Api, RefusesToCompareWhatCannotBeCompared) {
  expect_error(ErrorKind::kUsage, "no samples",
               [&] { compare(network_, network_, [] { return std::optional<Batch>(); }); });
  expect_error(ErrorKind::kUsage, "function", [&] { compare(network_, network_, {}); });
  Batch batch = ramp(2);
  batch.labels = {1};
  expect_error(ErrorKind::kUsage, "2 samples has 1 labels",
               [&] { compare(network_, network_, [&] { return std::optional<Batch>(batch); }); });
}

}  // namespace
}  // namespace nibble
