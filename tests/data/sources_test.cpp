// Archives, sound and tables as data sets.
#include <cmath>

#include "data/dataset.h"
#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "io/tar/tar_bytes.h"
#include "io/wav/wav_bytes.h"
#include "support/shared_data.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using tensor::kUnknown;
using tensor::Shape;
using test::expect_error;
using test::TemporaryFolder;

std::string grey_png(uint8_t value) {
  io::Image image(2, 2, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  const auto png = io::encode_png(image);
  return {png.begin(), png.end()};
}

/// PCM of 16 bits: 0, 1, 2, ... of 32768 parts.
std::string counting_wav(int64_t samples, uint32_t rate = 16000, uint32_t channels = 1) {
  std::string data;
  for (int64_t i = 0; i < samples; ++i)
    for (uint32_t c = 0; c < channels; ++c) data += {static_cast<char>(i), static_cast<char>(i >> 8)};
  return test::wav_bytes({.channels = channels, .rate = rate, .bits = 16, .data = data});
}

std::vector<int64_t> counts(const tensor::Tensor& t) {
  std::vector<int64_t> counts;
  for (const float v : t.values<float>()) counts.push_back(std::lround(v * 32768));
  return counts;
}

using Counts = std::vector<int64_t>;

class Sources : public testing::Test {
 protected:
  TemporaryFolder folder_;
  DatasetOptions options_;
  std::unique_ptr<Dataset> open(const std::string& name, const std::string& bytes) {
    return open_dataset(folder_.write(name, bytes), options_, {});
  }
};

TEST_F(Sources, TarsAreFoldersOfImages) {
  options_.preprocessing = parse_preprocessing("order=grey");
  const std::string tar = test::tar_bytes({{"./set/bee/2.png", grey_png(2)},
                                           {"./set/ant/1.png", grey_png(1)},
                                           {"./set/ant/link.png", "", '2', {}, "1.png"},
                                           {"./set/._1.png", "no image"}});
  for (const auto& [name, bytes] : {std::pair{"x.tar", tar}, std::pair{"x.tar.gz", test::gzipped(tar)}}) {
    const auto set = open(name, bytes);
    ASSERT_EQ(set->size(), 2) << name;
    EXPECT_EQ(set->sample(0).inputs[0].values<float>()[0], 1.0f);
    EXPECT_EQ(set->sample(1).label, 1);
    ASSERT_EQ(set->notes().size(), 1u);
    EXPECT_NE(set->notes()[0].find("links or devices"), std::string::npos);
  }
}

TEST_F(Sources, SoundIsCutIntoFramesWithContext) {
  options_.audio = parse_audio("rate=16000,frame=4,context=2");
  options_.inputs[0].shape = Shape{6};
  const auto set = open("x.wav", counting_wav(11));
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(counts(set->sample(0).inputs[0]), (Counts{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(counts(set->sample(1).inputs[0]), (Counts{2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(set->sample(1).name, "x.wav#1");
  ASSERT_EQ(set->notes().size(), 1u);
  EXPECT_NE(set->notes()[0].find("3 samples at the ends"), std::string::npos);
  options_.audio = parse_audio("frame=4,hop=2");
  options_.inputs[0].shape = Shape{1, 4};
  const auto overlapping = open("x.wav", counting_wav(9));
  ASSERT_EQ(overlapping->size(), 3);
  EXPECT_EQ(overlapping->sample(2).inputs[0].shape(), (Shape{1, 4}));
  EXPECT_EQ(counts(overlapping->sample(2).inputs[0]), (Counts{4, 5, 6, 7}));
}

TEST_F(Sources, SoundFilesAreSamplesWhereNothingCutsThem) {
  folder_.write("set/no/a.wav", counting_wav(3));
  folder_.write("set/yes/b.wav", counting_wav(5, 16000, 2));
  options_.inputs[0].shape = Shape{kUnknown};
  const auto set = open_dataset(folder_.path() / "set", options_, {});
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(counts(set->sample(1).inputs[0]), (Counts{0, 1, 2, 3, 4}));
  EXPECT_EQ(set->sample(1).label, 1);
  EXPECT_TRUE(set->sizes_vary());
  options_.inputs[0].shape = Shape{2};  // the network's own length cuts
  EXPECT_EQ(open_dataset(folder_.path() / "set", options_, {})->size(), 1 + 2);
  options_.audio = parse_audio("rate=8000");
  expect_error(ErrorKind::kUnsupported, "16000 samples a second",
               [&] { open_dataset(folder_.path() / "set", options_, {}); });
  options_.audio = parse_audio("frame=9");
  expect_error(ErrorKind::kMalformed, "shorter than one frame",
               [&] { open_dataset(folder_.path() / "set", options_, {}); });
}

TEST_F(Sources, ASoundFileMayBeOneRunWithAStateOfZeros) {
  options_.audio = parse_audio("frame=4,context=1,run=on");
  options_.inputs = {{"input", tensor::DType::f32, Shape{5}, kUnknown},
                     {"state", tensor::DType::f32, Shape{kUnknown, 3}, 2}};
  const auto set = open("x.wav", counting_wav(8));
  ASSERT_EQ(set->size(), 1);
  const Sample s = set->sample(0);
  EXPECT_EQ(s.inputs[0].shape(), (Shape{2, 5}));
  EXPECT_EQ(counts(s.inputs[0]), (Counts{0, 0, 1, 2, 3, 3, 4, 5, 6, 7}));
  EXPECT_EQ(s.inputs[1].shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(counts(s.inputs[1]), Counts(6, 0));
  options_.audio.run = false;
  expect_error(ErrorKind::kUnsupported, "2 inputs", [&] { open("x.wav", counting_wav(8)); });
}

TEST(AudioText, ReadsBackAndSaysWhatIsWrong) {
  const Audio audio = parse_audio("rate=16000,frame=512,context=64,hop=256,run=on");
  EXPECT_EQ(parse_audio(to_text(audio)), audio);
  EXPECT_EQ(to_text(Audio{}), "");
  DataDescription d;
  d.audio = audio;
  EXPECT_EQ(parse_description(to_text(d), "x", {}), d);
  for (const char* bad : {"rate", "rate=x", "rate=-1", "speed=2", "rate=1,rate=2", "run=yes", "context=3"})
    expect_error(ErrorKind::kUsage, "audio", [&] { parse_audio(bad); });
  for (const char* bad : {R"({"audio": {"rate": -1}})", R"({"audio": {"speed": 1}})", R"({"audio": {"context": 1}})"})
    expect_error(ErrorKind::kMalformed, "audio", [&] { parse_description(bad, "x", {}); });
}

TEST_F(Sources, TablesHaveARowASample) {
  const auto set = open("x.csv", "a,\"label\",b\n1,ant,2.5\n-3e1,bee,+4\n");
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->sample(1).inputs[0].values<float>()[0], -30.0f);
  EXPECT_EQ(set->sample(1).inputs[0].values<float>()[1], 4.0f);
  EXPECT_EQ(set->sample(0).label, 0);
  EXPECT_EQ(set->sample(1).label, 1);
  EXPECT_NE(set->describe().find("labels from column \"label\", \"ant\" = 0"), std::string::npos);
  options_.class_names = {"bee", "ant"};
  EXPECT_EQ(open("x.tsv", "label\ta\nant\t1\n")->sample(0).label, 1);
  options_.class_names = {};
  options_.inputs[0].shape = Shape{1, 2, 2};
  const auto picture = open("x.csv", "1,2,3,4\n");
  EXPECT_EQ(picture->sample(0).inputs[0].shape(), (Shape{1, 2, 2}));
  ASSERT_EQ(picture->notes().size(), 1u);
  EXPECT_FALSE(picture->has_labels());
}

TEST_F(Sources, TheLabelColumnHasANameOrANumber) {
  options_.labels = parse_labels("column:2");
  const auto set = open("x.csv", "1,cat,2\n3,dog,4\n");  // no header: the words are labels
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->sample(1).label, 1);
  options_.labels = parse_labels("column:kind");
  EXPECT_EQ(open("x.csv", "kind,a\n7,1\n")->sample(0).label, 7);
  expect_error(ErrorKind::kUsage, "no column of that name", [&] { open("x.csv", "sort,a\n7,1\n"); });
  expect_error(ErrorKind::kUsage, "column:", [] { parse_labels("column:"); });
  options_.labels = parse_labels("column:9");
  expect_error(ErrorKind::kUsage, "columns 1 to 2", [&] { open("x.csv", "1,2\n"); });
  options_.labels = parse_labels("column:1");
  expect_error(ErrorKind::kMalformed, "0.5", [&] { open("x.csv", "0.5,1\n1,2\n"); });  // a measurement is no class
  options_.labels = parse_labels("column:a");
  expect_error(ErrorKind::kUsage, "no table", [&] { open("x.png", grey_png(1)); });
}

TEST_F(Sources, TablesWithoutNumbersAreRefused) {
  expect_error(ErrorKind::kMalformed, "line 2: \"x\" in column \"a\" is no finite number",
               [&] { open("x.csv", "a,b\nx,1\n"); });
  expect_error(ErrorKind::kMalformed, "no finite number", [&] { open("x.csv", "a,b\n,1\n"); });
  expect_error(ErrorKind::kMalformed, "no finite number", [&] { open("x.csv", "a,b\nnan,1\n"); });
  expect_error(ErrorKind::kMalformed, "no finite number", [&] { open("x.csv", "a,b\n1e60,1\n"); });
  expect_error(ErrorKind::kMalformed, "no row", [&] { open("x.csv", "a,b\n"); });
  expect_error(ErrorKind::kMalformed, "no row", [&] { open("x.csv", "\n\n"); });
  expect_error(ErrorKind::kMalformed, "no column of numbers", [&] { open("x.csv", "label\n1\n"); });
  options_.inputs.resize(2);
  expect_error(ErrorKind::kUnsupported, "2 inputs", [&] { open("x.csv", "1,2\n"); });
}

TEST(SharedSound, AMinuteOfSpeech) {
  NIBBLE_REQUIRE_SHARED_DATA();
  DatasetOptions options;
  options.audio = parse_audio("rate=16000,frame=512,context=64");
  options.inputs[0].shape = Shape{576};
  const auto set = open_dataset(test::shared_data() / "vad/speech_60s_16k.wav", options, {});
  EXPECT_EQ(set->size(), 1875);
}

}  // namespace
}  // namespace nibble::data
