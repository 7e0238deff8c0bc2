#include "data/references.h"

#include "data/dataset.h"
#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "io/zip/zip_bytes.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using test::expect_error;
using test::TemporaryFolder;

std::string png(int64_t side, uint8_t value) {
  io::Image image(side, side, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  const auto bytes = io::encode_png(image);
  return {bytes.begin(), bytes.end()};
}

std::unique_ptr<Dataset> open(const std::filesystem::path& path, const std::string& references) {
  DatasetOptions options;
  options.preprocessing = parse_preprocessing("order=grey");
  options.references = parse_references(references);
  options.inputs[0].shape = tensor::Shape{1, tensor::kUnknown, tensor::kUnknown};
  return open_dataset(path, options, {});
}

std::string text_of(const Dataset& set, int64_t index) { return std::get<std::string>(set.sample(index).reference); }

TEST(References, RenamedImagesAreNoSamples) {
  const TemporaryFolder folder;
  for (const uint8_t i : {uint8_t{1}, uint8_t{2}}) {
    folder.write("lr_set/" + std::to_string(i) + "_lr.png", png(2, i));
    folder.write("lr_set/" + std::to_string(i) + "_hr.png", png(4, static_cast<uint8_t>(10 * i)));
  }
  const auto set = open(folder.path(), "_lr=_hr");
  ASSERT_EQ(set->size(), 2);
  EXPECT_TRUE(set->has_references());
  for (int64_t i = 0; i < 2; ++i) {
    const Sample s = set->sample(i);
    EXPECT_EQ(s.inputs[0].values<float>()[0], static_cast<float>(i + 1));
    const auto& image = std::get<io::Image>(s.reference);
    EXPECT_EQ(image.width, 4);
    EXPECT_EQ(image.pixels[0], 10 * (i + 1));
  }
  base::ThreadPool pool(2);
  EXPECT_EQ(std::get<io::Image>(set->batch(1, 1, pool).references.at(0)).pixels[0], 20);
  ASSERT_EQ(set->notes().size(), 1u);
  EXPECT_NE(set->notes()[0].find("2 of 4 images"), std::string::npos);
  std::filesystem::remove(folder.path() / "lr_set/2_hr.png");
  expect_error(ErrorKind::kMalformed, "2_hr.png", [&] { open(folder.path(), "_lr=_hr"); });
  expect_error(ErrorKind::kMalformed, "no file's name", [&] { open(folder.path(), "_low=_hr"); });
  expect_error(ErrorKind::kUsage, "FROM=TO", [] { parse_references("=x"); });
  expect_error(ErrorKind::kUsage, "FROM=TO", [] { parse_references("x=x"); });
}

TEST(References, ImagesOfAnotherFolderHaveTheSamplesNames) {
  const TemporaryFolder folder;
  folder.write("in/a/1.png", png(2, 1));
  folder.write("in/2.png", png(2, 2));
  folder.write("out/a/1.png", png(2, 11));
  folder.write("out/2.PNG", png(2, 12));
  const auto set = open(folder.path() / "in", (folder.path() / "out").string());
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(std::get<io::Image>(set->sample(0).reference).pixels[0], 12);
  EXPECT_EQ(std::get<io::Image>(set->sample(1).reference).pixels[0], 11);
  std::filesystem::remove(folder.path() / "out/a/1.png");
  expect_error(ErrorKind::kMalformed, "a/1.png", [&] { open(folder.path() / "in", (folder.path() / "out").string()); });
}

TEST(References, TextsAreFoundByNameOrByOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"set/1.png", "set/2.png"}) folder.write(name, png(2, 0));
  const auto with = [&](const std::string& text) {
    return open(folder.path() / "set", folder.write("texts", text).string());
  };
  EXPECT_EQ(text_of(*with("2.png\tsecond, and last\r\n\n1.png\tfirst\n"), 1), "second, and last");
  EXPECT_EQ(text_of(*with("2.png,second\n1.png,first"), 0), "first");
  EXPECT_EQ(text_of(*with("well, first\nwell, second\n"), 1), "well, second");  // in order, with commas of their own
  EXPECT_EQ(text_of(*with("1.png\t\n2.png\tx"), 0), "");
  expect_error(ErrorKind::kMalformed, "2.png", [&] { with("1.png\tfirst\n"); });
  expect_error(ErrorKind::kMalformed, "twice", [&] { with("1.png\ta\n1.png\tb\n2.png\tc\n"); });
  expect_error(ErrorKind::kMalformed, "1 lines for 2 samples", [&] { with("alone\n"); });
  expect_error(ErrorKind::kUnsupported, "no file of texts", [&] { with(std::string("a\0b", 3)); });
  expect_error(ErrorKind::kIo, "neither", [&] { open(folder.path() / "set", "missing.tsv"); });
}

TEST(References, ATextFileMayLieInTheArchiveItself) {
  const TemporaryFolder folder;
  const auto zip =
      folder.write("lines.zip", test::zip_bytes({{"1.png", png(2, 0)}, {"labels.tsv", "1.png\tthe text\n", true}}));
  const auto set = open(zip, "labels.tsv");
  EXPECT_EQ(text_of(*set, 0), "the text");
  EXPECT_NE(set->describe().find("lines.zip: labels.tsv"), std::string::npos);
}

TEST(References, ArraysHoldOneRowASample) {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4};
  const auto data =
      folder.write("x.npy", io::npy_file(tensor::Tensor::of<float>({2, 1, 1, 1}, std::span(values).first(2))));
  const auto good = folder.write("y.npy", io::npy_file(tensor::Tensor::of<float>({2, 2}, values)));
  const auto bad = folder.write("z.npy", io::npy_file(tensor::Tensor::of<float>({4}, values)));
  const auto set = open(data, good.string());
  EXPECT_EQ(std::get<tensor::Tensor>(set->sample(1).reference).values<float>()[1], 4.0f);
  expect_error(ErrorKind::kMalformed, "[4]", [&] { open(data, bad.string()); });
}

TEST(SizesVary, OnlyWhereNothingFixesThem) {
  const TemporaryFolder folder;
  for (const int i : {1, 2}) folder.write(std::to_string(i) + ".png", png(i + 1, 0));
  graph::Graph network;
  graph::Value v;
  v.shape_known = true;
  v.shape = {tensor::kUnknown, 1, tensor::kUnknown, tensor::kUnknown};
  network.inputs = {network.add_value(v)};
  DatasetOptions options;
  options.inputs = inputs_of(network);
  options.preprocessing = parse_preprocessing("order=grey");
  EXPECT_EQ(open_dataset(folder.path(), options, {})->fixed_batch(network), 1);
  options.preprocessing = parse_preprocessing("order=grey,resize=3x3");
  EXPECT_EQ(open_dataset(folder.path(), options, {})->fixed_batch(network), tensor::kUnknown);
  options.preprocessing = parse_preprocessing("order=grey");
  options.inputs[0].shape = tensor::Shape{1, 2, 2};
  EXPECT_EQ(open_dataset(folder.path(), options, {})->fixed_batch(network), tensor::kUnknown);
}

}  // namespace
}  // namespace nibble::data
