#include "quant/calibrate/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "quant/calibrate/calibrate.h"
#include "runtime/infer_shapes.h"
#include "support/graph_builder.h"

namespace nibble::quant {
namespace {

using tensor::Tensor;

std::vector<float> numbers(size_t n, double scale, uint64_t seed) {
  base::Random random(seed);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(random.normal() * scale * (random.below(50) == 0 ? 30 : 1));
  return v;
}

bool equal(const Histogram& a, const Histogram& b) {
  const auto total = [](const Histogram& h) { return std::accumulate(h.counts.begin(), h.counts.end(), uint64_t{0}); };
  if (a.exponent != b.exponent || a.zeros != b.zeros || total(a) != total(b)) return false;
  const auto at = [](const Histogram& h, int64_t bin) {
    const int64_t i = bin - h.first;
    return i < 0 || i >= static_cast<int64_t>(h.counts.size()) ? uint64_t{0} : h.counts[static_cast<size_t>(i)];
  };
  for (int64_t bin = std::min(a.first, b.first);
       bin < std::max(a.first + static_cast<int64_t>(a.counts.size()), b.first + static_cast<int64_t>(b.counts.size()));
       ++bin)
    if (at(a, bin) != at(b, bin)) return false;
  return true;
}

TEST(Histogram, DoesNotDependOnTheOrderOrTheBatches) {
  auto v = numbers(5000, 0.01, 1);
  v[100] = 0.0f;
  v[4000] = -700.0f;
  Histogram all, pieces, reversed, left, right;
  all.add(v);
  for (size_t i = 0; i < v.size(); i += 7)
    pieces.add(std::span<const float>(v).subspan(i, std::min<size_t>(7, v.size() - i)));
  auto r = v;
  std::reverse(r.begin(), r.end());
  for (const float x : r) reversed.add({&x, 1});
  left.add(std::span<const float>(v).first(1234));
  right.add(std::span<const float>(v).subspan(1234));
  left.merge(right);
  EXPECT_TRUE(equal(all, pieces));
  EXPECT_TRUE(equal(all, reversed));
  EXPECT_TRUE(equal(all, left));
  EXPECT_LE(static_cast<int64_t>(all.counts.size()), Histogram::kMostBins);
  EXPECT_EQ(all.zeros, static_cast<uint64_t>(std::count(v.begin(), v.end(), 0.0f)));
}

TEST(Histogram, EveryValueLiesInItsBin) {
  const auto v = numbers(300, 2.0, 3);
  Histogram h;
  h.add(v);
  const double width = std::ldexp(1.0, h.exponent);
  std::vector<uint64_t> counts(h.counts.size(), 0);
  for (const float x : v) ++counts.at(static_cast<size_t>(static_cast<int64_t>(std::floor(x / width)) - h.first));
  EXPECT_EQ(counts, h.counts);
}

TEST(Histogram, TakesExtremesAndSubnormals) {
  Histogram h;
  const std::vector<float> v{3.4e38f, -3.4e38f, 1e-45f, -1e-45f, 0.0f};
  h.add(v);
  EXPECT_EQ(std::accumulate(h.counts.begin(), h.counts.end(), uint64_t{0}), 4u);
  EXPECT_EQ(h.zeros, 1u);
}

TEST(Calibration, ReadsBackWhatItWrote) {
  Calibration c;
  c.samples = 3;
  c.source = "three \"images\"";
  observe(c.activations["a/b"], "a/b", Tensor::of<float>({4}, std::vector<float>{-1.5f, 0, 0.25f, 7}));
  c.activations["given"].min = -2;
  c.activations["given"].max = 3;
  c.weights["w"].min = -1;
  c.weights["w"].max = 1;
  const std::string text = to_json(c);
  const Calibration back = calibration_from_json(text, "ranges.json", {});
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(back.activations.at("given").count, 0u);
  EXPECT_TRUE(equal(back.activations.at("a/b").histogram, c.activations.at("a/b").histogram));
}

TEST(Calibration, MalformedFilesAreRefused) {
  const auto refused = [](const std::string& text) {
    try {
      calibration_from_json(text, "r.json", {});
      return false;
    } catch (const base::Error& e) {
      return e.kind() == base::ErrorKind::kMalformed || e.kind() == base::ErrorKind::kUnsupported;
    }
  };
  const auto with = [](const std::string& entry) {
    return R"({"nibble":"ranges","version":1,"activations":{"a":)" + entry + "}}";
  };
  EXPECT_FALSE(refused(with(R"({"min":-1,"max":2})")));
  EXPECT_TRUE(refused("{}"));
  EXPECT_TRUE(refused(R"({"nibble":"ranges","version":2})"));
  EXPECT_TRUE(refused(R"({"nibble":"ranges","version":1,"other":1})"));
  EXPECT_TRUE(refused(with(R"({"min":1})")));
  EXPECT_TRUE(refused(with(R"({"min":3,"max":2})")));
  EXPECT_TRUE(refused(with(R"({"min":-1e300,"max":2})")));
  EXPECT_TRUE(refused(with(R"({"min":-1,"max":2,"mean":0})")));
  EXPECT_TRUE(refused(with(R"({"min":-1,"max":2,"count":1,"histogram":{"counts":[-1]}})")));
  EXPECT_TRUE(refused(with(R"({"min":-1,"max":2,"count":1,"histogram":{"first_bin":99999999999,"counts":[1]}})")));
  EXPECT_TRUE(refused(with(R"({"min":-1,"max":2,"histogram":{"counts":[1]}})")));
  EXPECT_TRUE(refused(with("[1,2]")));
}

TEST(Calibrate, CollectsTheValuesAskedForAndRefusesNaN) {
  test::GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 2});
  auto g = b.finish({b.node("Relu", {x}, "y")});
  runtime::infer_shapes(g);
  base::ThreadPool pool(1);
  base::NoProgress progress;
  const auto run = [&](std::vector<float> values) {
    bool given = false;
    return calibrate(g, {{"x", 1}, {"y", 1}},
                     [&]() -> std::vector<Tensor> {
                       if (given) return {};
                       given = true;
                       return {Tensor::of<float>({2, 2}, values)};
                     },
                     2, pool, progress, {});
  };
  const Calibration c = run({-3, 1, 2, -5});
  EXPECT_EQ(c.samples, 2);
  EXPECT_EQ(c.activations.at("x").min, -5);
  EXPECT_EQ(c.activations.at("y").min, 0);
  EXPECT_EQ(c.activations.at("y").max, 2);
  EXPECT_EQ(c.activations.at("y").histogram.zeros, 2u);
  try {
    run({1, 2, NAN, 3});
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_NE(std::string(e.what()).find("\"x\""), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("index 2"), std::string::npos) << e.what();
  }
  EXPECT_THROW(calibrate(g, {{"x", 1}}, [] { return std::vector<Tensor>(); }, 0, pool, progress, {}), base::Error);
}

}  // namespace
}  // namespace nibble::quant
