#include "eval/tasks/task.h"

#include <cmath>

#include "base/error.h"
#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "io/image/image.h"
#include "io/npy/npy.h"
#include "support/graph_builder.h"

namespace nibble::eval {
namespace {

using base::ErrorKind;
using io::Json;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::expect_error;

Tensor floats(Shape shape, std::vector<float> values) { return Tensor::of<float>(std::move(shape), values); }

/// A network of which tasks read the outputs' names and the metadata; nothing runs it.
graph::Graph network(const std::vector<std::string>& outputs) {
  test::GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 1});
  std::vector<graph::ValueId> ids;
  for (const std::string& name : outputs) ids.push_back(b.node("Relu", {x}, name));
  return b.finish(ids);
}

/// Scores hand-made answers of a data set of two samples with the task that `text` names.
class Tasks : public testing::Test {
 protected:
  data::DatasetOptions options_;
  test::TemporaryFolder folder_;
  std::vector<data::Reference> references_;
  std::vector<std::optional<int64_t>> labels_{std::nullopt, std::nullopt};
  bool two_ = true;
  std::map<std::string, std::string> metadata_;

  std::string given() {
    const auto& last = references_.empty() ? data::Reference{} : references_[0];
    if (references_.empty()) return "";
    if (std::holds_alternative<std::string>(last)) return folder_.write("texts.txt", "a\nb\n").string();
    return folder_.write("targets.npy", io::npy_file(floats({2, 1}, {0, 0}))).string();
  }

  ChosenTask chosen(const std::string& text, const Answers& answers, const graph::Graph& graph) {
    options_.references = data::parse_references(given());
    const auto path = folder_.write("x.npy", io::npy_file(floats({2, 1}, {1, 2})));
    dataset_ = data::open_dataset(path, options_, {});
    return make_task(parse_task(text), answers, {graph, *dataset_, two_, false, {}, {}});
  }

  TaskResult score(const std::string& text, const std::vector<Tensor>& before, const std::vector<Tensor>& after,
                   const std::vector<std::string>& outputs = {"y"}) {
    graph::Graph graph = network(outputs);
    graph.metadata = metadata_;
    data::Batch batch;
    batch.indices = {0, 1};
    batch.names = {"first", "second"};
    batch.labels = labels_;
    batch.references = references_;
    const Answers answers{batch, before, after};
    ChosenTask task = chosen(text, answers, graph);
    task.task->add(answers);
    OutputErrors errors(graph);
    errors.add(answers);
    const auto compared = errors.result();
    TaskResult r = task.task->result(compared);
    r.name = task.name;
    return r;
  }

 private:
  std::unique_ptr<data::Dataset> dataset_;
};

const Json& at(const TaskResult& r, const std::string& first, const std::string& second = "") {
  for (const auto& [key, value] : r.json)
    if (key == first) return second.empty() ? value : *value.find(second);
  ADD_FAILURE() << "no " << first;
  static const Json none;
  return none;
}

TEST(ParseTask, SaysWhatIsUnknown) {
  EXPECT_EQ(parse_task("").kind, nullptr);
  const TaskChoice choice = parse_task("psnr:border=6,peak=255");
  EXPECT_EQ(choice.kind->name, "psnr");
  EXPECT_EQ(choice.options.at("border"), "6");
  EXPECT_EQ(choice.options.at("peak"), "255");
  expect_error(ErrorKind::kUsage, "accuracy", [] { parse_task("accuracy"); });
  expect_error(ErrorKind::kUsage, "edge", [] { parse_task("psnr:edge=6"); });
  expect_error(ErrorKind::kUsage, "border", [] { parse_task("psnr:border"); });
  expect_error(ErrorKind::kUsage, "border", [] { parse_task("mse:border=1"); });
  expect_error(ErrorKind::kUsage, "twice", [] { parse_task("psnr:border=1,border=2"); });
}

TEST_F(Tasks, PsnrIsTenLogTenOfThePeakOverTheError) {
  // A tenth of the peak off everywhere: 20 dB; the float network a hundredth: 40 dB.
  references_ = {floats({1, 2, 3}, std::vector<float>(6, 0.5f)), floats({1, 2, 3}, std::vector<float>(6, 0.5f))};
  const auto y = [](float v) { return floats({2, 1, 2, 3}, std::vector<float>(12, v)); };
  const TaskResult r = score("psnr", {y(0.51f)}, {y(0.6f)});
  EXPECT_NEAR(*at(r, "psnr", "before_db").if_double(), 40.0, 1e-4);
  EXPECT_NEAR(*at(r, "psnr", "after_db").if_double(), 20.0, 1e-5);
  EXPECT_NEAR(r.drop->value, 20.0, 1e-4);
  EXPECT_EQ(r.rows[0].before, "40.000 dB");
  EXPECT_NE(r.rows[0].change.find("2 of 2 images worse"), std::string::npos);
  // Twice the peak is 6.02 dB more.
  EXPECT_NEAR(*at(score("psnr:peak=2", {y(0.51f)}, {y(0.6f)}), "psnr", "after_db").if_double(),
              20.0 + 20 * std::log10(2.0), 1e-5);
}

TEST_F(Tasks, PsnrLeavesOutTheBorderAndImagesThatAreEqual) {
  std::vector<float> wrong_at_the_edge(9, 0.25f), off_inside(9, 0.25f);
  wrong_at_the_edge[0] = 1.0f;
  off_inside[4] = 0.35f;
  const Tensor reference = floats({1, 3, 3}, std::vector<float>(9, 0.25f));
  references_ = {reference, reference};
  two_ = false;
  std::vector<float> both = wrong_at_the_edge;
  both.insert(both.end(), off_inside.begin(), off_inside.end());
  const TaskResult r = score("psnr:border=1", {}, {floats({2, 1, 3, 3}, both)});
  EXPECT_EQ(*at(r, "psnr", "exact").if_integer(), 1);
  EXPECT_NEAR(*at(r, "psnr", "after_db").if_double(), 20.0, 1e-5);
  EXPECT_FALSE(r.drop);
  expect_error(ErrorKind::kUsage, "border", [&] { score("psnr:border=2", {}, {floats({2, 1, 3, 3}, both)}); });
  expect_error(ErrorKind::kUnsupported, "[2,9]", [&] { score("psnr", {}, {floats({2, 9}, both)}); });
  expect_error(ErrorKind::kUnsupported, "first", [&] {
    score("psnr", {}, {floats({2, 1, 1, 3}, {0, 0, 0, 0, 0, 0})});
  });
}

TEST_F(Tasks, PsnrReadsImagesInTheOutputsLayoutAndClips) {
  io::Image image(1, 2, 3);
  image.pixels = {255, 0, 0, 0, 255, 0};  // a red pixel above a green one
  references_ = {image, image};
  two_ = false;
  // Red plane, green plane, blue plane; beyond the peak, as a picture cannot be. The second is a tenth off in red.
  const TaskResult planes = score("psnr", {},
                                  {floats({2, 3, 2, 1}, {1.5f, -1, -1, 1.5f, 0, 0,  //
                                                         0.9f, 0, 0, 1, 0, 0})});
  EXPECT_EQ(*at(planes, "psnr", "exact").if_integer(), 1);
  EXPECT_NEAR(*at(planes, "psnr", "after_db").if_double(), 10 * std::log10(6 / 0.01), 1e-4);
  const TaskResult last = score("psnr", {},
                                {floats({2, 2, 1, 3}, {1, 0, 0, 0, 1, 0,  //
                                                       1, 0, 0, 0, 0.9f, 0})});
  EXPECT_EQ(*at(last, "psnr", "exact").if_integer(), 1);
  EXPECT_NEAR(*at(last, "psnr", "after_db").if_double(), 10 * std::log10(6 / 0.01), 1e-4);
}

/// Scores [2, steps, symbols] whose largest symbol of each step is given; fills up with the blank 0.
Tensor symbols(const std::vector<std::vector<int>>& lines, int64_t count, int64_t steps) {
  Tensor t(DType::f32, {2, steps, count});
  for (size_t n = 0; n < lines.size(); ++n)
    for (int64_t s = 0; s < steps; ++s) {
      const int best = s < static_cast<int64_t>(lines[n].size()) ? lines[n][static_cast<size_t>(s)] : 0;
      t.mutable_values<float>()[static_cast<size_t>((static_cast<int64_t>(n) * steps + s) * count + best)] = 1;
    }
  return t;
}

TEST_F(Tasks, CtcMergesRepeatsDropsBlanksAndCountsEdits) {
  // kitten and sitting, three edits apart; g = 1, i = 2, k = 3, n = 4, s = 5, t = 6, e = 7, 8 = space.
  metadata_["character"] = "g\ni\nk\nn\ns\nt\ne\n";
  references_ = {std::string("kitten"), std::string("kit ten")};
  const Tensor right = symbols({{3, 3, 2, 6, 0, 6, 7, 4}, {3, 2, 6, 8, 6, 7, 4}}, 9, 9);
  const Tensor wrong = symbols({{5, 2, 2, 6, 0, 6, 2, 4, 1}, {3, 2, 6, 6, 6, 7, 4}}, 9, 9);
  const TaskResult r = score("ctc", {right}, {wrong});
  EXPECT_EQ(*at(r, "ctc", "before").find("errors")->if_integer(), 0);
  EXPECT_EQ(*at(r, "ctc", "after").find("errors")->if_integer(), 3 + 2);  // the space lost, and the t beside it merged
  EXPECT_EQ(*at(r, "ctc", "reference_characters").if_integer(), 13);
  EXPECT_NEAR(r.drop->value, 100 * 5.0 / 13, 1e-9);
  EXPECT_EQ(r.rows[1].label, "lines read right");
  EXPECT_EQ(r.rows[1].before, "100.00 %");
  EXPECT_EQ(r.rows[1].after, "0.00 %");
  const TaskResult ignored = score("ctc:spaces=ignore", {right}, {wrong});
  EXPECT_EQ(*at(ignored, "ctc", "after").find("errors")->if_integer(), 3 + 1);
  EXPECT_EQ(*at(ignored, "ctc", "reference_characters").if_integer(), 12);
  EXPECT_EQ(score("", {right}, {wrong}).name, "ctc");  // chosen by what it is
}

TEST_F(Tasks, CtcReadsAlphabetsFromFilesAndTimeFirst) {
  const auto file = folder_.write("alphabet", "\xC3\xA4\nb\n").string();
  references_ = {std::string("\xC3\xA4"
                             "b"),
                 std::string("b")};
  two_ = false;
  // [steps, N, symbols] with the blank last.
  const Tensor t = floats({2, 2, 3}, {1, 0, 0, 0, 0, 1,  //
                                      0, 1, 0, 0, 1, 0});
  const TaskResult r = score("ctc:blank=2,layout=tnc,alphabet=" + file, {}, {t});
  EXPECT_EQ(*at(r, "ctc", "after").find("errors")->if_integer(), 0);
  EXPECT_EQ(*at(r, "ctc", "reference_characters").if_integer(), 3);  // code points, not bytes
  expect_error(ErrorKind::kUnsupported, "blank", [&] { score("ctc:blank=3,layout=tnc,alphabet=" + file, {}, {t}); });
  expect_error(ErrorKind::kUsage, "alphabet", [&] { score("ctc", {}, {t}); });
  expect_error(ErrorKind::kUnsupported, "7 symbols", [&] {
    score("ctc:alphabet=" + file, {}, {floats({2, 1, 7}, std::vector<float>(14))});
  });
  expect_error(ErrorKind::kUsage, "maybe", [&] { score("ctc:spaces=maybe,alphabet=" + file, {}, {t}); });
}

TEST_F(Tasks, AgreementCountsClassesAndValuesWithinTheTolerance) {
  // Classes: the second sample's answer changes. Values: 1 of 4 is off by more than 5 % of the sample's largest.
  const TaskResult r =
      score("agreement", {floats({2, 2}, {1, 0, 1, 0}), floats({2, 1, 2}, {10, 1, 1, -1})},
            {floats({2, 2}, {1, 0, 0, 1}), floats({2, 1, 2}, {10.4f, 1.4f, 1.04f, -0.9f})}, {"classes", "values"});
  const auto& outputs = *at(r, "agreement", "outputs").if_array();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_DOUBLE_EQ(*outputs[0].find("same_share")->if_double(), 0.5);
  EXPECT_DOUBLE_EQ(*outputs[1].find("same_share")->if_double(), 0.75);
  EXPECT_DOUBLE_EQ(r.drop->value, 50);  // the worst output's
  EXPECT_NE(r.drop->unit.find("classes"), std::string::npos);
  const TaskResult strict = score("agreement:tolerance=0", {floats({2, 1, 2}, {10, 1, 1, -1})},
                                  {floats({2, 1, 2}, {10, 1.4f, 1.04f, -0.9f})});
  EXPECT_DOUBLE_EQ(strict.drop->value, 75);
  expect_error(ErrorKind::kUsage, "-1", [&] { score("agreement:tolerance=-1", {}, {floats({2, 2}, {0, 0, 0, 0})}); });
  two_ = false;
  expect_error(ErrorKind::kUsage, "two networks", [&] { score("agreement", {}, {floats({2, 2}, {0, 0, 0, 0})}); });
}

TEST_F(Tasks, OutputsThatAreNoFloatsOrChangeTheirShapeAreSaid) {
  const Tensor ints = Tensor::of<int64_t>({2, 1}, std::vector<int64_t>{1, 2});
  const Tensor other = Tensor::of<int64_t>({2, 1}, std::vector<int64_t>{1, 3});
  const TaskResult r = score("mse", {floats({2, 1, 1}, {3, 4}), ints, floats({1}, {1})},
                             {floats({2, 1, 1}, {3, 4.5f}), other, floats({2}, {1, 1})}, {"a", "b", "c"});
  ASSERT_EQ(r.rows.size(), 3u);
  EXPECT_NEAR(r.drop->value, 100 * 0.5 / 5, 1e-6);
  EXPECT_EQ(r.rows[1].after, "50.00 %");
  EXPECT_NE(r.rows[2].change.find("nothing compared; its form differed in 1 batches"), std::string::npos);
}

TEST_F(Tasks, TheChoiceFollowsOutputsAndData) {
  const Tensor rows = floats({2, 2}, {1, 0, 0, 1}), pictures = floats({2, 1, 1, 1}, {0, 0});
  EXPECT_EQ(score("", {rows}, {rows}).name, "agreement");
  EXPECT_EQ(score("", {pictures}, {pictures}).name, "mse");
  options_.labels = data::parse_labels(folder_.write("labels.txt", "0\n1\n").string());
  labels_ = {0, 1};
  const TaskResult classified = score("", {rows}, {rows});
  EXPECT_EQ(classified.name, "classify");
  EXPECT_EQ(classified.rows[0].after, "100.00 %");
  EXPECT_EQ(score("agreement", {rows}, {rows}).name, "agreement");
  references_ = {floats({1, 1, 1}, {1}), floats({1, 1, 1}, {1})};
  EXPECT_EQ(score("", {pictures}, {pictures}).name, "psnr");
  expect_error(ErrorKind::kUnsupported, "[2,1,1,1]", [&] { score("classify", {pictures}, {pictures}); });
  options_.labels = data::parse_labels("none");
  expect_error(ErrorKind::kUsage, "labels", [&] { score("classify", {rows}, {rows}); });
}

}  // namespace
}  // namespace nibble::eval
