// What training refuses, each with the sentence that says why.
#include <gtest/gtest.h>

#include "train/checkpoint.h"
#include "train/training_fixture.h"

namespace nibble::train {
namespace {

using base::ErrorKind;
using test::expect_error;
using test::quick;
using test::Training;

TEST(Trainer, RefusesDataWithoutSamples) {
  NIBBLE_REQUIRE_TRAINING();
  try {
    Training t(quick(), {.samples = 0});
    expect_error(ErrorKind::kUsage, "hold no sample", [&] { t.run(); });
  } catch (const base::Error& e) {  // where the data set itself is refused
    EXPECT_EQ(e.kind(), ErrorKind::kUsage) << e.what();
  }
}

TEST(Trainer, RefusesLabelsAloneWhereThereAreNone) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.distillation = 0;
  Training t(o, {.labels = false});
  expect_error(ErrorKind::kUsage, "the training data have no labels; train without them", [&] { t.run(); });
}

TEST(Trainer, RefusesLabelsOfOutputsThatAreNoClasses) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.distillation = 0;
  test::GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 2, 6, 6});
  auto g = b.finish({b.node("Conv", {x, b.weights("w", {3, 2, 3, 3})}, "y")});
  runtime::infer_shapes(g);
  Training t(o, {.scheme = "W4A16", .validation = 0}, g);
  expect_error(ErrorKind::kUsage, "the network's first output holds no classes", [&] { t.run(); });
  t.options.distillation = 1;
  EXPECT_EQ(t.run().epochs.size(), 3u);
}

TEST(Trainer, NamesEveryOperatorWithoutGradient) {
  NIBBLE_REQUIRE_TRAINING();
  test::GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 2, 6, 6});
  const auto c = b.node("Conv", {x, b.weights("w", {4, 2, 3, 3})}, "c");
  const auto bits = b.node("Cast", {c}, "whole", {{"to", int64_t{6}}});
  const auto back = b.node("Cast", {b.node("BitwiseNot", {bits}, "turned")}, "floats", {{"to", int64_t{1}}});
  const auto hard = b.node("Hardmax", {back}, "hard");
  auto g = b.finish({b.node("GlobalAveragePool", {hard}, "y")});
  runtime::infer_shapes(g);
  Options o = quick();
  o.distillation = 1;
  Training t(o, {.scheme = "W4A16", .validation = 0}, g);
  try {
    t.run();
    ADD_FAILURE() << "nothing was refused";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
    for (const char* part : {"\"turned\" (BitwiseNot)", "\"hard\" (Hardmax)", "cannot follow", "docs/support.md"})
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Trainer, RefusesBatchesThatAFixedNetworkCannotFill) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.batch = 6;
  Training small(o, {.validation = 0, .batch = 7});
  expect_error(ErrorKind::kUsage, "--batch: the network takes batches of exactly 7", [&] { small.run(); });
  Training few(quick(), {.samples = 6, .validation = 0, .batch = 7});
  expect_error(ErrorKind::kUsage, "batches of exactly 7, the training data hold 6 samples", [&] { few.run(); });
}

TEST(Trainer, RefusesOptionsThatMakeNoSense) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.learning_rate = 0;
  Training t(o);
  expect_error(ErrorKind::kUsage, "--learning-rate", [&] { t.run(); });
}

TEST(Trainer, SaysWhereNumbersStoppedBeingNumbers) {
  NIBBLE_REQUIRE_TRAINING();
  for (const OptimizerKind kind : {OptimizerKind::kAdam, OptimizerKind::kSgd}) {
    Options o = quick();
    o.optimizer = kind;
    o.learning_rate = 1e30;
    Training t(o);
    t.watch.checkpoint = t.folder.path() / "checkpoint";
    try {
      t.run();
      ADD_FAILURE() << "1e30 was trained with";
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kMalformed) << e.what();
      EXPECT_EQ(e.place(), "epoch 1, step 1") << e.what();
      EXPECT_NE(e.advice().find("smaller --learning-rate"), std::string::npos) << e.what();
    }
    EXPECT_FALSE(std::filesystem::exists(t.watch.checkpoint));  // there is no good epoch
  }
}

// Steps that double where the checkpoint of two epochs goes on: the third ends in the sentence, and what the second
// left stays.
TEST(Trainer, KeepsTheCheckpointOfTheLastGoodEpoch) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.epochs = 6;
  Training t(o);
  t.watch.checkpoint = t.folder.path() / "checkpoint";
  int64_t bytes = 0;
  t.watch.on_epoch = [&](const Epoch& e) {
    if (e.epoch != 2) return;
    // The optimiser's momenta as a diverging training has them.
    Checkpoint c = read_checkpoint(t.watch.checkpoint, {}), diverging{c.json, {}};
    add_copies(diverging.tensors, c.tensors, "");
    for (auto& n : diverging.tensors)
      if (n.name == "optimizer.0.mean") n.tensor.mutable_values<float>()[0] = 1e30f;
    write_checkpoint(t.folder.path() / "diverging", diverging);
    bytes = static_cast<int64_t>(std::filesystem::file_size(t.watch.checkpoint));
    throw test::Stopped{};
  };
  EXPECT_THROW(t.run(), test::Stopped);
  std::filesystem::rename(t.folder.path() / "diverging", t.watch.checkpoint);
  t.watch.resume = t.watch.checkpoint;
  t.watch.on_epoch = {};
  try {
    t.run();
    ADD_FAILURE() << "endless momenta were trained with";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kMalformed) << e.what();
    EXPECT_EQ(e.place(), "epoch 3, step 1") << e.what();
    EXPECT_NE(e.sentence().find("\"w1_folded\" has left all bounds; "), std::string::npos) << e.what();
    EXPECT_NE(e.sentence().find("checkpoint holds the network after epoch 2"), std::string::npos) << e.what();
  }
  EXPECT_EQ(read_checkpoint(t.watch.checkpoint, {}).json.find("epoch")->integer(""), 2);
  EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(t.watch.checkpoint)), bytes);
}

TEST(Trainer, RefusesACheckpointOfAnotherTraining) {
  NIBBLE_REQUIRE_TRAINING();
  Training t(quick());
  t.watch.checkpoint = t.folder.path() / "checkpoint";
  EXPECT_THROW(t.run(2, 5), test::Stopped);
  const auto checkpoint = t.watch.checkpoint;
  const auto resume = [&](Training& other) {
    other.watch.resume = checkpoint;
    return other.run();
  };
  {
    Options o = quick();
    o.seed = 7;
    Training other(o);
    expect_error(ErrorKind::kUsage, "was made with other options", [&] { resume(other); });
  }
  {
    Training other(quick(), {.scheme = "W4A8"});
    expect_error(ErrorKind::kUsage, "was made with other scheme", [&] { resume(other); });
  }
  {
    Training other(quick(), {.samples = 149});
    expect_error(ErrorKind::kUsage, "150 training samples, now there are 149", [&] { resume(other); });
  }
  {
    test::GraphBuilder b;  // another network, whose tensors do not fit
    const auto x = b.input("x", {tensor::kUnknown, 2, 6, 6});
    const auto p = b.node("Flatten", {b.node("GlobalAveragePool", {x}, "p")}, "f");
    auto g = b.finish({b.node("MatMul", {p, b.weights("w", {2, 3})}, "y")});
    runtime::infer_shapes(g);
    Training other(quick(), {}, g);
    expect_error(ErrorKind::kMalformed, "does not fit this network", [&] { resume(other); });
  }
  {
    Training other(quick());
    other.watch.resume = other.folder.write("text", "no checkpoint");
    expect_error(ErrorKind::kMalformed, "text", [&] { other.run(); });
    other.watch.resume = other.folder.path() / "none";
    expect_error(ErrorKind::kIo, "none", [&] { other.run(); });
  }
}

// Each member of the JSON missing, and of another type.
TEST(Trainer, RefusesACheckpointWhoseRecordIsBroken) {
  NIBBLE_REQUIRE_TRAINING();
  Training t(quick());
  t.watch.checkpoint = t.folder.path() / "checkpoint";
  EXPECT_THROW(t.run(2, 5), test::Stopped);
  const Checkpoint whole = read_checkpoint(t.watch.checkpoint, {});
  t.watch.resume = t.folder.path() / "broken";
  t.watch.checkpoint.clear();
  const auto& members = *whole.json.if_object();
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string& key = members[i].first;
    if (key == "best_score") continue;
    Checkpoint c = whole;
    auto object = members;
    object.erase(object.begin() + static_cast<std::ptrdiff_t>(i));
    c.json = object;
    write_checkpoint(t.watch.resume, c);
    expect_error(ErrorKind::kMalformed, "has no " + key, [&] { t.run(); });
    object = members;
    object[i].second = io::Json();
    c.json = object;
    write_checkpoint(t.watch.resume, c);
    expect_error(ErrorKind::kMalformed, "broken", [&] { t.run(); });
  }
  const auto with = [&](const char* key, io::Json value, ErrorKind kind = ErrorKind::kMalformed) {
    Checkpoint c = whole;
    auto object = members;
    for (auto& m : object)
      if (m.first == key) m.second = value;
    c.json = object;
    write_checkpoint(t.watch.resume, c);
    expect_error(kind, "broken", [&] { t.run(); });
  };
  for (const int bad : {-1, 4}) with("epoch", bad);
  for (const int bad : {-1, 5}) with("step", bad);
  for (const int bad : {-1, 3}) with("best_epoch", bad);
  with("version", 2, ErrorKind::kUnsupported);
  with("nibble", "ranges");
  with("sums", io::Json::Array{1.0});
}

}  // namespace
}  // namespace nibble::train
