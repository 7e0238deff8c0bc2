#include "data/labels.h"

#include "data/expected_files.h"
#include "data/source.h"
#include "data/temporary_folder.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using test::expect_error;
using Integers = std::vector<int64_t>;

/// Only names (and labels, if given): nothing is ever read.
class NamedSource final : public Source {
 public:
  explicit NamedSource(std::vector<std::string> names, Integers own = {})
      : names_(std::move(names)), own_(std::move(own)) {}
  int64_t size() const override { return static_cast<int64_t>(names_.size()); }
  std::string name(int64_t i) const override { return names_[static_cast<size_t>(i)]; }
  Reading read(int64_t, io::Orientation) const override { return io::Image(); }
  bool holds_images() const override { return true; }
  Integers own_labels() const override { return own_; }
  std::string what() const override { return "names"; }
  std::string place(int64_t i) const override { return name(i); }

 private:
  std::vector<std::string> names_;
  Integers own_;
};

Labels find(std::vector<std::string> names, std::string_view how, std::vector<std::string> class_names = {},
            int64_t classes = 0) {
  return find_labels(NamedSource(std::move(names)), parse_labels(how), class_names, classes, {});
}

TEST(FindLabels, FoldersAreClassesInSortedOrder) {
  const Labels labels = find({"cat/1.png", "cat/2.png", "ant/x/1.png", "dog/1.png"}, "folders");
  EXPECT_EQ(labels.of_sample, (Integers{1, 1, 0, 2}));
  EXPECT_EQ(labels.origin, "labels from 3 class folders, ant = 0 ... dog = 2");
}

TEST(FindLabels, FoldersThatAreNumbersMeanThemselves) {
  EXPECT_EQ(find({"2/a.png", "10/a.png", "7/a.png"}, "folders").of_sample, (Integers{2, 10, 7}));
}

TEST(FindLabels, FoldersAreLookedUpAmongTheNetworksClasses) {
  EXPECT_EQ(find({"A/1.png", "0/1.png"}, "folders", {"0", "1", "A"}).of_sample, (Integers{2, 0}));
  EXPECT_EQ(find({"b/1.png", "a/1.png"}, "folders", {"z", "y"}).of_sample, (Integers{1, 0}));
}

TEST(FindLabels, AFolderAroundEverythingIsNoClass) {
  EXPECT_EQ(find({"all/cat/1.png", "all/ant/1.png"}, "folders").of_sample, (Integers{1, 0}));
  EXPECT_EQ(find({"all/1.png", "all/2.png"}, "folders").of_sample, (Integers{0, 0}));
}

TEST(FindLabels, FoldersAskedForMustBeThere) {
  expect_error(ErrorKind::kMalformed, "\"1.png\" lies in none", [] { find({"cat/1.png", "1.png"}, "folders"); });
}

TEST(FindLabels, PrefixNumber) {
  const Labels labels = find({"000_n01440764_tench.jpg", "x/017_jay.jpg"}, "prefix-number");
  EXPECT_EQ(labels.of_sample, (Integers{0, 17}));
  EXPECT_EQ(labels.origin, "labels from the numbers at the front of the file names, \"000_n01440764_tench.jpg\" = 0");
  expect_error(ErrorKind::kMalformed, "does not match \"cat.jpg\"", [] { find({"cat.jpg"}, "prefix-number"); });
}

TEST(FindLabels, PatternsGiveNumbersOrClassNames) {
  EXPECT_EQ(find({"img-a-3.png", "img-b-5.png"}, "pattern:-([0-9]+)\\.png$").of_sample, (Integers{3, 5}));
  EXPECT_EQ(find({"img-a-3.png", "img-b-5.png"}, "pattern:-([a-z])-", {"b", "a"}).of_sample, (Integers{1, 0}));
  expect_error(ErrorKind::kMalformed, "label \"a\" is neither a whole number nor a class name",
               [] { find({"img-a-3.png"}, "pattern:-([a-z])-"); });
  expect_error(ErrorKind::kMalformed, "mix class names and numbers", [] {
    find({"img-a.png", "img-3.png"}, "pattern:-(.)", {"a"});
  });
}

TEST(FindLabels, DetectsFoldersThenNumbersThenNothing) {
  EXPECT_EQ(find({"ant/1.png", "bee/1.png"}, "auto").of_sample, (Integers{0, 1}));
  EXPECT_EQ(find({"3_cat_1.jpg", "5_dog_2.jpg"}, "auto").of_sample, (Integers{3, 5}));
  EXPECT_EQ(find({"0_00.jpg", "0_01.jpg", "1_00.jpg"}, "auto").of_sample, (Integers{0, 0, 1}));
  // Names that only count, folders that hold one kind, names of anything else.
  for (const auto& names : std::vector<std::vector<std::string>>{
           {"000.jpg", "001.jpg"}, {"1_0.png", "2_0.png"}, {"img_1.png", "img_2.png"}, {"all/a.png", "all/b.png"}}) {
    const Labels labels = find(names, "auto");
    EXPECT_TRUE(labels.of_sample.empty()) << names[0];
    EXPECT_NE(labels.origin.find("no labels"), std::string::npos);
  }
}

TEST(FindLabels, DetectsNothingThatExceedsTheClasses) {
  const Labels labels = find({"2023-01-05_cat.jpg", "2023-01-06_dog.jpg"}, "auto", {}, 10);
  EXPECT_TRUE(labels.of_sample.empty());
  EXPECT_NE(labels.origin.find("exceed the network's 10 classes"), std::string::npos);
  expect_error(ErrorKind::kMalformed, "its label is 2023, but the network has 10 classes",
               [] { find({"2023-01-05_cat.jpg"}, "prefix-number", {}, 10); });
  EXPECT_TRUE(find({"a/1.png", "b/1.png", "c/1.png"}, "auto", {}, 2).of_sample.empty());
}

TEST(FindLabels, PrefersTheFilesOwnAndObeysNone) {
  const NamedSource source({"3_cat.jpg", "4_dog.jpg"}, {8, 9});
  EXPECT_EQ(find_labels(source, parse_labels("auto"), {}, 0, {}).of_sample, (Integers{8, 9}));
  EXPECT_EQ(find_labels(source, parse_labels("prefix-number"), {}, 0, {}).of_sample, (Integers{3, 4}));
  EXPECT_TRUE(find_labels(source, parse_labels("none"), {}, 0, {}).of_sample.empty());
  expect_error(ErrorKind::kMalformed, "its label is -1",
               [] { find_labels(NamedSource({"a"}, {-1}), parse_labels("auto"), {}, 0, {}); });
}

class LabelFile : public testing::Test {
 protected:
  Labels read(std::string_view text, std::vector<std::string> class_names = {}) const {
    const auto path = folder_.write("labels.csv", text);
    return find({"d/a.png", "d/b.png", "c.png"}, path.string(), std::move(class_names));
  }
  test::TemporaryFolder folder_;
};

TEST_F(LabelFile, TakesNamesWithOrWithoutFoldersInAnyOrder) {
  EXPECT_EQ(read("c.png,7\nd/a.png,3\r\n\nb.png, 5\n").of_sample, (Integers{3, 5, 7}));
  EXPECT_EQ(read("\"a.png\"\t1\nb.png\t2\nc.png\t0").of_sample, (Integers{1, 2, 0}));
  EXPECT_EQ(read("file,label\na.png,1\nb.png,2\nc.png,0\n").of_sample, (Integers{1, 2, 0}));
  EXPECT_EQ(read("a.png,cat\nb.png,dog\nc.png,cat\n", {"dog", "cat"}).of_sample, (Integers{1, 0, 1}));
}

TEST_F(LabelFile, TakesOneLabelALine) {
  EXPECT_EQ(read("4\n5\n6\n").of_sample, (Integers{4, 5, 6}));
  EXPECT_EQ(read("dog\ncat\ndog", {"dog", "cat"}).of_sample, (Integers{0, 1, 0}));
}

TEST_F(LabelFile, TakesNpyAndIdx) {
  const int32_t values[] = {2, 1, 0};
  EXPECT_EQ(read(io::npy_file(tensor::Tensor::of<int32_t>({3}, values))).of_sample, (Integers{2, 1, 0}));
  EXPECT_EQ(read(std::string_view("\0\0\x08\1\0\0\0\3\5\6\7", 11)).of_sample, (Integers{5, 6, 7}));
}

TEST_F(LabelFile, NamesWhatIsWrong) {
  const auto refused = [&](std::string_view text, const std::string& part) {
    expect_error(ErrorKind::kMalformed, part, [&] { read(text); });
  };
  refused("a.png,1\nb.png,2\n", "has no line for sample \"c.png\"");
  refused("a.png,1\na.png,2\n", "comes twice");
  refused("a.png,1\n2\n", "mixes name,label lines and labels alone");
  refused("1\n2\n", "has 2 labels for 3 samples");
  refused(" \n\n", "holds no labels");
  refused("1\n-2\n3\n", "label \"-2\" is neither a whole number nor a class name");
  refused("1\n99999999999999999999\n3\n", "is neither a whole number");
  const float floats[] = {1, 2, 3};
  refused(io::npy_file(tensor::Tensor::of<float>({3}, floats)), "whole numbers were expected");
  refused(io::npy_file(tensor::Tensor::of<int8_t>({1}, {})), "has shape [1] for 3 samples");
  expect_error(ErrorKind::kUnsupported, "is no file of labels", [&] { read(std::string_view("a\0b", 3)); });
  expect_error(ErrorKind::kIo, "", [] { find({"a.png"}, "/nowhere/labels.csv"); });
}

TEST(ParseLabels, KnowsItsWords) {
  EXPECT_EQ(parse_labels("auto").from, LabelOptions::From::kDetect);
  EXPECT_EQ(parse_labels("none").from, LabelOptions::From::kNone);
  EXPECT_EQ(parse_labels("folders").from, LabelOptions::From::kFolders);
  EXPECT_EQ(parse_labels("prefix-number").pattern, kPrefixNumber);
  EXPECT_EQ(parse_labels("pattern:(x)").pattern, "(x)");
  EXPECT_EQ(parse_labels("labels.csv").file, "labels.csv");
  expect_error(ErrorKind::kUsage, "exactly one group", [] { parse_labels("pattern:x"); });
  expect_error(ErrorKind::kUsage, "exactly one group", [] { parse_labels("pattern:(x)(y)"); });
  expect_error(ErrorKind::kUsage, "is no regular expression", [] { parse_labels("pattern:("); });
  expect_error(ErrorKind::kUsage, "is empty", [] { parse_labels(""); });
}

}  // namespace
}  // namespace nibble::data
