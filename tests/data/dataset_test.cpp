#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "io/image/image.h"
#include "io/zip/zip_bytes.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using tensor::Shape;
using test::expect_error;
using test::TemporaryFolder;

/// A grey PNG of one value.
std::string flat_png(int64_t width, int64_t height, uint8_t value) {
  io::Image image(width, height, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  const auto png = io::encode_png(image);
  return {png.begin(), png.end()};
}

std::string npy(const tensor::Tensor& t) { return io::npy_file(t); }

DatasetOptions with(std::string_view preprocessing) {
  DatasetOptions options;
  options.preprocessing = parse_preprocessing(preprocessing);
  return options;
}

std::unique_ptr<Dataset> open(const std::filesystem::path& path, const DatasetOptions& options) {
  return open_dataset(path, options, {});
}

/// Six pictures in two class folders, whose value tells their place in sorted order; and things to ignore.
class Pictures : public testing::Test {
 protected:
  void SetUp() override {
    for (uint8_t i = 0; i < 6; ++i)
      folder_.write((i < 3 ? "ant/" : "bee/") + std::to_string(i) + ".png", flat_png(4, 3, i));
    folder_.write("bee/readme.txt", "no image");
    folder_.write("bee/.hidden.png", "no image");
    folder_.write("__MACOSX/x.png", "no image");
  }
  TemporaryFolder folder_;
};

TEST_F(Pictures, AreReadSortedWithLabelsFromFolders) {
  const auto set = open(folder_.path(), with("order=grey"));
  ASSERT_EQ(set->size(), 6);
  ASSERT_TRUE(set->has_labels());
  for (int64_t i = 0; i < 6; ++i) {
    const Sample s = set->sample(i);
    EXPECT_EQ(s.inputs[0].shape(), (Shape{1, 3, 4}));
    EXPECT_EQ(s.inputs[0].values<float>()[0], static_cast<float>(i));
    EXPECT_EQ(s.label, i < 3 ? 0 : 1);
  }
  EXPECT_EQ(set->sample(4).name, "bee/4.png");
  EXPECT_NE(set->describe().find("6 images of " + folder_.path().string()), std::string::npos);
  EXPECT_NE(set->describe().find("labels from 2 class folders, ant = 0 ... bee = 1"), std::string::npos);
  ASSERT_EQ(set->notes().size(), 1u);
  EXPECT_NE(set->notes()[0].find("1 file is no .jpg, .jpeg or .png and left out"), std::string::npos);
}

TEST_F(Pictures, AssumesFromTheNetworksShapeAndSaysSo) {
  DatasetOptions options;
  options.inputs[0].shape = Shape{3, 8, 6};
  const auto set = open(folder_.path(), options);
  EXPECT_EQ(set->sample(5).inputs[0].shape(), (Shape{3, 8, 6}));
  EXPECT_EQ(set->sample(5).inputs[0].values<float>()[0], 5.0f / 255.0f);
  ASSERT_EQ(set->notes().size(), 2u);
  EXPECT_NE(set->notes()[1].find("assumed: order=rgb,resize=6x8,scale=1/255,layout=nchw"), std::string::npos);
}

TEST_F(Pictures, AreSelectedByShuffleThenOffsetThenLimit) {
  const auto values = [&](const DatasetOptions& options) {
    const auto set = open(folder_.path(), options);
    std::vector<float> out;
    for (int64_t i = 0; i < set->size(); ++i) out.push_back(set->sample(i).inputs[0].values<float>()[0]);
    return out;
  };
  DatasetOptions options = with("order=grey");
  options.offset = 2;
  options.limit = 3;
  EXPECT_EQ(values(options), (std::vector<float>{2, 3, 4}));
  options.offset = 0;
  options.limit.reset();
  options.seed = 5;
  const auto shuffled = values(options);
  EXPECT_EQ(shuffled, values(options));
  EXPECT_NE(shuffled, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_TRUE(std::is_permutation(shuffled.begin(), shuffled.end(), std::vector<float>{0, 1, 2, 3, 4, 5}.begin()));
  options.offset = 1;
  options.limit = 2;
  EXPECT_EQ(values(options), (std::vector<float>{shuffled[1], shuffled[2]}));
  EXPECT_NE(open(folder_.path(), options)->describe().find("2 of them chosen with seed 5 from number 1 on"),
            std::string::npos);
  options.offset = 6;
  expect_error(ErrorKind::kUsage, "leaves no sample", [&] { open(folder_.path(), options); });
  options.offset = -1;
  expect_error(ErrorKind::kUsage, "must be 0 or more", [&] { open(folder_.path(), options); });
  options.offset = 0;
  options.limit = 0;
  expect_error(ErrorKind::kUsage, "the limit 1 or more", [&] { open(folder_.path(), options); });
}

TEST_F(Pictures, BatchesAreTheSameForAnyNumberOfThreads) {
  const auto set = open(folder_.path(), with("order=grey"));
  base::ThreadPool one(1), three(3);
  const int64_t indices[] = {5, 0, 3};
  const Batch a = set->batch(indices, one), b = set->batch(indices, three);
  ASSERT_EQ(a.inputs[0].shape(), (Shape{3, 1, 3, 4}));
  EXPECT_EQ(a.inputs[0].values<float>()[0], 5.0f);
  EXPECT_EQ(a.inputs[0].values<float>()[12], 0.0f);
  EXPECT_EQ(a.inputs[0].values<float>()[24], 3.0f);
  EXPECT_TRUE(std::equal(a.inputs[0].bytes().begin(), a.inputs[0].bytes().end(), b.inputs[0].bytes().begin()));
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.names, (std::vector<std::string>{"bee/5.png", "ant/0.png", "bee/3.png"}));
  EXPECT_EQ(set->batch(4, 10, three).size(), 2);
}

TEST_F(Pictures, BadOnesAreErrorsUnlessSkipped) {
  folder_.write("ant/1.png", flat_png(4, 3, 1).substr(0, 40));
  base::ThreadPool pool(2);
  DatasetOptions options = with("order=grey");
  expect_error(ErrorKind::kMalformed, "ant/1.png: ", [&] { open(folder_.path(), options)->batch(0, 6, pool); });
  options.skip_bad = true;
  const auto set = open(folder_.path(), options);
  const Batch batch = set->batch(0, 3, pool);
  EXPECT_EQ(batch.indices, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(batch.inputs[0].shape(), (Shape{2, 1, 3, 4}));
  EXPECT_EQ(batch.inputs[0].values<float>()[12], 2.0f);
  set->batch(0, 6, pool);
  EXPECT_EQ(set->skipped(), 1);  // counted once however often it is met
  const int64_t only_bad[] = {1};
  EXPECT_EQ(set->batch(only_bad, pool).size(), 0);
  expect_error(ErrorKind::kMalformed, "truncated", [&] { set->sample(1); });
}

TEST_F(Pictures, SkipBadDoesNotHideAWrongPreprocessing) {
  DatasetOptions options = with("order=grey");
  options.inputs[0].shape = Shape{1, 8, 8};
  options.skip_bad = true;
  base::ThreadPool pool(1);
  expect_error(ErrorKind::kUnsupported, "its shape is [1,3,4], the network takes [1,8,8]",
               [&] { open(folder_.path(), options)->batch(0, 6, pool); });
}

TEST_F(Pictures, SayWhichFlagHelpsWhenTheShapeIsWrong) {
  const auto refused = [&](std::string_view preprocessing, const Shape& shape, const std::string& part) {
    DatasetOptions options = with(preprocessing);
    options.inputs[0].shape = shape;
    expect_error(ErrorKind::kUnsupported, part, [&] { open(folder_.path(), options)->sample(0); });
  };
  refused("order=grey", {1, 8, 9}, "--preprocess with resize=9x8 or crop=9x8");
  refused("order=rgb,resize=9x8", {8, 9, 3}, "--preprocess with layout=nhwc");
  refused("order=rgb,resize=9x8,layout=nhwc", {3, 8, 9}, "--preprocess with layout=nchw");
  refused("order=rgb,resize=9x8", {1, 8, 9}, "--preprocess with order=grey");
  refused("order=grey,resize=9x8", {3, 8, 9}, "--preprocess with order=rgb");
}

TEST_F(Pictures, OfSeveralSizesDoNotMakeABatch) {
  folder_.write("ant/2.png", flat_png(5, 3, 2));
  base::ThreadPool pool(1);
  expect_error(ErrorKind::kUnsupported, "one batch needs one shape",
               [&] { open(folder_.path(), with("order=grey"))->batch(0, 6, pool); });
}

TEST(OpenDataset, ReadsAZipAsItsFolder) {
  const TemporaryFolder folder;
  const auto path = folder.write("images.zip", test::zip_bytes({{.name = "7_b.png", .data = flat_png(2, 2, 20)},
                                                                {.name = "3_a.png", .data = flat_png(2, 2, 10)},
                                                                {.name = "__MACOSX/3_a.png", .data = "x"},
                                                                {.name = "notes.txt", .data = "x"}}));
  const auto set = open(path, with("order=grey"));
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->sample(0).inputs[0].values<float>()[0], 10.0f);
  EXPECT_EQ(set->sample(0).label, 3);
  EXPECT_EQ(set->sample(1).label, 7);
  ASSERT_EQ(set->notes().size(), 1u);
}

TEST(OpenDataset, ReadsOneImage) {
  const TemporaryFolder folder;
  const auto set = open(folder.write("cat.png", flat_png(2, 2, 9)), with("order=grey"));
  ASSERT_EQ(set->size(), 1);
  EXPECT_FALSE(set->has_labels());
  EXPECT_EQ(set->sample(0).name, "cat.png");
  EXPECT_EQ(set->sample(0).inputs[0].values<float>()[3], 9.0f);
}

TEST(OpenDataset, ReadsCifarWithItsLabels) {
  const TemporaryFolder folder;
  std::string records;
  for (char label = 0; label < 4; ++label) records += label + std::string(3072, static_cast<char>(label + 100));
  const auto set = open(folder.write("test.bin", records), with("order=rgb"));
  ASSERT_EQ(set->size(), 4);
  EXPECT_EQ(set->sample(2).label, 2);
  EXPECT_EQ(set->sample(2).inputs[0].shape(), (Shape{3, 32, 32}));
  EXPECT_EQ(set->sample(2).inputs[0].values<float>()[5], 102.0f);
}

TEST(OpenDataset, TakesAFileCalledBinForCifarWhateverItsFirstPixels) {
  const TemporaryFolder folder;
  std::string record(3073, '\0');
  record[2] = 8;  // with the label and the first pixel the beginning of an idx header
  record[3] = 1;
  EXPECT_EQ(open(folder.write("test.bin", record), with("order=rgb"))->sample(0).inputs[0].values<float>()[1], 8.0f);
}

TEST(OpenDataset, ReadsIdxWithTheLabelsBesideIt) {
  const TemporaryFolder folder;
  const auto path = folder.write("t-images-idx3-ubyte", {"\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\2abcd", 20});
  EXPECT_FALSE(open(path, with("order=grey"))->has_labels());
  folder.write("t-labels-idx1-ubyte", {"\0\0\x08\1\0\0\0\2\4\5", 10});
  const auto set = open(path, with("order=grey"));
  EXPECT_EQ(set->sample(1).inputs[0].shape(), (Shape{1, 1, 2}));
  EXPECT_EQ(set->sample(1).inputs[0].values<float>()[1], static_cast<float>('d'));
  EXPECT_EQ(set->sample(1).label, 5);
  EXPECT_NE(set->describe().find("t-labels-idx1-ubyte beside it"), std::string::npos);
  folder.write("t-labels-idx1-ubyte", {"\0\0\x08\1\0\0\0\3\4\5\6", 11});
  expect_error(ErrorKind::kMalformed, "has shape [3], but there are 2 images", [&] { open(path, with("order=grey")); });
  expect_error(ErrorKind::kUnsupported, "images are u8 of shape [count,height,width]", [&] {
    open(folder.write("flat.idx", {"\0\0\x08\1\0\0\0\2ab", 10}), {});
  });
}

TEST(OpenDataset, ReadsArraysAsTheyAre) {
  const TemporaryFolder folder;
  const int16_t values[] = {1, 2, 3, 4, 5, 6};
  const auto path = folder.write("x.npy", io::npy_file(tensor::Tensor::of<int16_t>({2, 3}, values)));
  DatasetOptions options = with("scale=1/255");
  options.inputs[0].shape = Shape{1, 3, 1};
  const auto set = open(path, options);
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->sample(1).inputs[0].shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(set->sample(1).inputs[0].values<float>()[2], 6.0f);
  ASSERT_EQ(set->notes().size(), 2u);
  EXPECT_NE(set->notes()[0].find("is not applied"), std::string::npos);
  EXPECT_NE(set->notes()[1].find("samples of shape [3] are read as [1,3,1]"), std::string::npos);
  options.inputs[0].shape = Shape{4};
  expect_error(ErrorKind::kUnsupported, "its shape is [3], the network takes [4]",
               [&] { open(path, options)->sample(0); });
  options.inputs[0].shape = Shape{tensor::kUnknown};
  EXPECT_EQ(open(path, options)->sample(0).inputs[0].shape(), Shape{3});
}

TEST(OpenDataset, RefusesArraysThatAreNoSamples) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kMalformed, "is a single number",
               [&] { open(folder.write("s.npy", io::npy_file(tensor::Tensor::scalar(1.0f))), {}); });
  expect_error(ErrorKind::kMalformed, "is empty", [&] {
    open(folder.write("e.npy", io::npy_file(tensor::Tensor(tensor::DType::f32, {0, 3}))), {});
  });
  const float bad[] = {1.0f, std::numeric_limits<float>::infinity(), 3.0f, std::nanf("")};
  const auto set = open(folder.write("n.npy", io::npy_file(tensor::Tensor::of<float>({2, 2}, bad))), {});
  expect_error(ErrorKind::kMalformed, "sample #0: its value 1 is infinite", [&] { set->sample(0); });
  expect_error(ErrorKind::kMalformed, "its value 1 is NaN", [&] { set->sample(1); });
}

TEST(OpenDataset, TakesTheArrayOfTheInputsNameFromAnNpz) {
  const TemporaryFolder folder;
  const float x[] = {1, 2}, other[] = {3, 4};
  const int64_t labels[] = {7, 8};
  const auto two = folder.write(
      "two.npz", test::zip_bytes({{.name = "a.npy", .data = npy(tensor::Tensor::of<float>({2}, x))},
                                  {.name = "b.npy", .data = npy(tensor::Tensor::of<float>({2}, other))},
                                  {.name = "y.npy", .data = npy(tensor::Tensor::of<int64_t>({2}, labels))}}));
  DatasetOptions options;
  options.inputs[0].name = "b";
  const auto set = open(two, options);
  EXPECT_EQ(set->sample(1).inputs[0].values<float>()[0], 4.0f);
  EXPECT_EQ(set->sample(1).label, 8);
  options.inputs[0].name = "c";
  expect_error(ErrorKind::kUnsupported, "has no array called \"c\"; it holds \"a\", \"b\", \"y\"",
               [&] { open(two, options); });
  EXPECT_EQ(open(test::expected_path("two.npz"), options)->sample(1).label, 1);
  const auto uneven = folder.write(
      "uneven.npz", test::zip_bytes({{.name = "a.npy", .data = npy(tensor::Tensor::of<float>({1}, x))},
                                     {.name = "y.npy", .data = npy(tensor::Tensor::of<int64_t>({2}, labels))}}));
  expect_error(ErrorKind::kMalformed, "has 1 samples and 2 labels", [&] { open(uneven, {}); });
}

TEST(OpenDataset, FeedsEveryInputTheArrayOfItsNameInItsElementType) {
  const TemporaryFolder folder;
  const double ids[] = {1, 2, 3, 4, 5, 6};
  const float mask[] = {0, 1};
  const auto path = folder.write(
      "two.npz", test::zip_bytes({{.name = "ids.npy", .data = npy(tensor::Tensor::of<double>({2, 3}, ids))},
                                  {.name = "mask.npy", .data = npy(tensor::Tensor::of<float>({2}, mask))}}));
  DatasetOptions options;
  options.inputs = {{"mask", tensor::DType::boolean, Shape{}}, {"ids", tensor::DType::i64, Shape{tensor::kUnknown}}};
  const auto set = open(path, options);
  base::ThreadPool pool(1);
  const Batch batch = set->batch(0, 5, pool);
  ASSERT_EQ(batch.inputs.size(), 2u);
  EXPECT_EQ(batch.inputs[0].shape(), (Shape{2}));
  EXPECT_EQ(batch.inputs[0].dtype(), tensor::DType::boolean);
  EXPECT_EQ(batch.inputs[1].shape(), (Shape{2, 3}));
  EXPECT_EQ(batch.inputs[1].values<int64_t>()[5], 6);
  options.inputs[1].shape = Shape{4};
  expect_error(ErrorKind::kUnsupported, "input \"ids\": its shape is [3], the network takes [4]",
               [&] { open(path, options)->sample(0); });
  options.inputs[1].name = "tokens";
  expect_error(ErrorKind::kUnsupported, "has no array called \"tokens\"; it holds \"ids\", \"mask\"",
               [&] { open(path, options); });
  const auto image = folder.write("x.png", flat_png(2, 2, 1));
  expect_error(ErrorKind::kUnsupported, "the network has 2 inputs", [&] { open(image, options); });
  const auto array = folder.write("x.npy", npy(tensor::Tensor::of<float>({2}, mask)));
  expect_error(ErrorKind::kUnsupported, "is one array, the network has 2 inputs", [&] { open(array, options); });
  const float three[] = {1, 2, 3};
  const auto uneven = folder.write(
      "uneven.npz", test::zip_bytes({{.name = "ids.npy", .data = npy(tensor::Tensor::of<double>({2, 3}, ids))},
                                     {.name = "mask.npy", .data = npy(tensor::Tensor::of<float>({3}, three))}}));
  options.inputs[1].name = "ids";
  expect_error(ErrorKind::kMalformed, "its arrays hold 3 and 2 samples", [&] { open(uneven, options); });
}

TEST(OpenDataset, ConvertsOnlyWhatTheElementTypeHoldsExactly) {
  const TemporaryFolder folder;
  const float values[] = {1.5f, 300.0f, -1.0f};
  const auto path = folder.write("x.npy", npy(tensor::Tensor::of<float>({3}, values)));
  DatasetOptions options;
  options.inputs[0].dtype = tensor::DType::i32;
  expect_error(ErrorKind::kUnsupported, "is 1.500000, the network takes i32", [&] { open(path, options)->sample(0); });
  EXPECT_EQ(open(path, options)->sample(1).inputs[0].values<int32_t>()[0], 300);
  options.inputs[0].dtype = tensor::DType::u8;
  expect_error(ErrorKind::kUnsupported, "is 300, the network takes u8", [&] { open(path, options)->sample(1); });
  expect_error(ErrorKind::kUnsupported, "is -1, the network takes u8", [&] { open(path, options)->sample(2); });
  options.inputs[0].dtype = tensor::DType::boolean;
  expect_error(ErrorKind::kUnsupported, "is 300, the network takes bool", [&] { open(path, options)->sample(1); });
}

TEST(OpenDataset, ReadsAFolderOfNpzFilesAsRunsWithTheirOwnBatch) {
  const TemporaryFolder folder;
  const float values[] = {1, 2, 3, 4, 5, 6};
  const auto run = [&](const std::string& name, int64_t rows) {
    const std::span<const float> part(values, static_cast<size_t>(2 * rows));
    folder.write(name, test::zip_bytes({{.name = "x.npy", .data = npy(tensor::Tensor::of<float>({rows, 2}, part))}}));
  };
  run("b.npz", 3);
  run("a.npz", 1);
  folder.write("notes.txt", "no run");
  DatasetOptions options;
  options.inputs = {{"x", tensor::DType::f32, Shape{2}}};
  const auto set = open(folder.path(), options);
  base::ThreadPool pool(1);
  ASSERT_EQ(set->size(), 2);
  EXPECT_TRUE(set->holds_runs());
  EXPECT_EQ(set->batch(0, 1, pool).inputs[0].shape(), (Shape{1, 2}));
  EXPECT_EQ(set->batch(1, 1, pool).inputs[0].shape(), (Shape{3, 2}));
  ASSERT_EQ(set->notes().size(), 1u);
  EXPECT_NE(set->notes()[0].find("1 file is no .npz"), std::string::npos);
  options.inputs[0].shape = Shape{3};
  expect_error(ErrorKind::kUnsupported, "its shape is [1,2], the network takes [?,3]",
               [&] { open(folder.path(), options)->sample(0); });
}

TEST(OpenDataset, NamesWhatItKnowsWhenItKnowsNothing) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kUnsupported, "it reads folders, zip and tar files",
               [&] { open(folder.write("x.dat", "hello"), {}); });
  expect_error(ErrorKind::kMalformed, "holds no .jpg", [&] { open(folder.path(), {}); });
  expect_error(ErrorKind::kIo, "", [&] { open(folder.path() / "absent", {}); });
  const auto zip = folder.write("x.zip", test::zip_bytes({{.name = "a.txt", .data = "x"}}));
  expect_error(ErrorKind::kMalformed, "holds no .jpg", [&] { open(zip, {}); });
  DatasetOptions options;
  options.inputs[0].shape = Shape{49, 10, 5};
  const auto image = folder.write("x.png", flat_png(2, 2, 1));
  expect_error(ErrorKind::kUnsupported, "which is no image of 1 or 3 channels", [&] { open(image, options); });
}

TEST(AssumedPreprocessing, FollowsTheShape) {
  EXPECT_EQ(assumed_preprocessing({3, 8, 6}), parse_preprocessing("resize=6x8,scale=1/255"));
  EXPECT_EQ(assumed_preprocessing({1, 8, 6}), parse_preprocessing("order=grey,resize=6x8,scale=1/255"));
  EXPECT_EQ(assumed_preprocessing({8, 6, 3}), parse_preprocessing("resize=6x8,scale=1/255,layout=nhwc"));
  EXPECT_EQ(assumed_preprocessing({3, tensor::kUnknown, tensor::kUnknown}), parse_preprocessing("scale=1/255"));
  EXPECT_EQ(assumed_preprocessing({10}), std::nullopt);
  EXPECT_EQ(assumed_preprocessing({49, 10, 5}), std::nullopt);
}

}  // namespace
}  // namespace nibble::data
