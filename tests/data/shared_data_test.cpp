// The forms in which the shared data comes (its README), opened as the tool opens them.
#include "support/shared_data.h"
#include "data/dataset.h"
#include "data/expected_files.h"

namespace nibble::data {
namespace {

using tensor::Shape;

std::unique_ptr<Dataset> open(const char* name, std::string_view preprocessing, const Shape& shape,
                              const LabelOptions& labels = {}) {
  DatasetOptions options;
  if (!preprocessing.empty()) options.preprocessing = parse_preprocessing(preprocessing);
  options.inputs[0].shape = shape;
  options.labels = labels;
  return open_dataset(test::shared_data() / name, options, {});
}

TEST(SharedData, ImageNet) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto set = open("imagenet/imagenet_800.zip", "crop=224,order=bgr,mean=104:117:123", {3, 224, 224});
  ASSERT_EQ(set->size(), 800);
  EXPECT_EQ(set->sample(2).label, 3);
  EXPECT_EQ(set->sample(2).name, "003_n01491361_tiger_shark.jpg");
  base::ThreadPool pool;
  EXPECT_EQ(set->batch(0, 8, pool).inputs[0].shape(), (Shape{8, 3, 224, 224}));
}

TEST(SharedData, Cifar) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto lossless = open("cifar10/test_lossless_700.bin", "scale=1/255", {3, 32, 32});
  EXPECT_EQ(lossless->size(), 700);
  EXPECT_TRUE(lossless->has_labels());
  const auto jpeg = open("cifar10/test_jpeg_9700.zip", "layout=nhwc", {32, 32, 3});
  EXPECT_EQ(jpeg->size(), 9700);
  EXPECT_EQ(jpeg->sample(0).label, 0);
  EXPECT_EQ(jpeg->sample(9699).label, 9);
}

TEST(SharedData, Mnist) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto set = open("mnist/t10k-images-idx3-ubyte.gz", "order=grey", {1, 28, 28});
  ASSERT_EQ(set->size(), 10'000);
  EXPECT_EQ(set->sample(0).label, 7);  // the first digits of the test set are 7, 2, 1, 0, 4
  EXPECT_EQ(set->sample(4).label, 4);
}

TEST(SharedData, KeywordSpotting) {
  NIBBLE_REQUIRE_SHARED_DATA();
  LabelOptions labels;
  labels.from = LabelOptions::From::kFile;
  labels.file = test::shared_data() / "kws" / "kws_labels_1000.npy";
  const auto set = open("kws/kws_mfcc_1000.npy", "", {49, 10, 1}, labels);
  EXPECT_EQ(set->size(), 1000);
  EXPECT_TRUE(set->has_labels());
  EXPECT_TRUE(set->notes().empty());
}

}  // namespace
}  // namespace nibble::data
