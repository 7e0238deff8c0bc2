#include "data/description.h"

#include "data/expected_files.h"
#include "data/temporary_folder.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using test::expect_error;

DataDescription parse(std::string_view text) { return parse_description(text, "net.data.json", {}); }

TEST(ParseDescription, ReadsBothKeysAndBackToEqual) {
  const DataDescription d = parse(R"({"preprocessing": {"order": "bgr", "crop": 224, "mean": [104, 117, 123]},
                                      "classes": ["tench", "goldfish"]})");
  EXPECT_EQ(d.preprocessing, parse_preprocessing("order=bgr,crop=224,mean=104:117:123"));
  EXPECT_EQ(d.classes, (std::vector<std::string>{"tench", "goldfish"}));
  EXPECT_EQ(parse(to_text(d)), d);
  EXPECT_EQ(parse("{}"), DataDescription{});
  EXPECT_EQ(parse(to_text(DataDescription{})), DataDescription{});
}

TEST(ParseDescription, NamesWhatIsWrong) {
  expect_error(ErrorKind::kMalformed, "net.data.json: \"labels\": there is no such key",
               [] { parse(R"({"labels": 1})"); });
  expect_error(ErrorKind::kMalformed, "\"preprocessing\": \"width\": there is no such key",
               [] { parse(R"({"preprocessing": {"width": 1}})"); });
  expect_error(ErrorKind::kMalformed, "class \"a\" comes twice", [] { parse(R"({"classes": ["a", "a"]})"); });
  expect_error(ErrorKind::kMalformed, "is an integer, a string was expected", [] { parse(R"({"classes": [1]})"); });
  expect_error(ErrorKind::kUsage, "mean has 2 values", [] { parse(R"({"preprocessing": {"mean": [1, 2]}})"); });
  expect_error(ErrorKind::kMalformed, "the JSON is malformed", [] { parse("{"); });
}

TEST(FindDescription, LooksBesideTheNetwork) {
  const test::TemporaryFolder folder;
  const auto network = folder.path() / "net.v1.onnx";
  EXPECT_EQ(find_description(network, {}), std::nullopt);
  folder.write("net.v1.data.json", R"({"classes": ["a"]})");
  EXPECT_EQ(description_path(network).filename(), "net.v1.data.json");
  ASSERT_TRUE(find_description(network, {}).has_value());
  EXPECT_EQ(find_description(network, {})->classes, std::vector<std::string>{"a"});
}

TEST(DescriptionOf, TheFileBesideTheNetworkWinsOverItsMetadata) {
  const test::TemporaryFolder folder;
  const auto network = folder.path() / "net.onnx";
  std::map<std::string, std::string> metadata;
  keep_description({}, metadata);
  EXPECT_TRUE(metadata.empty());
  EXPECT_TRUE(description_of(network, metadata, {}).empty());
  const DataDescription kept = parse(R"({"classes": ["kept"]})");
  keep_description(kept, metadata);
  EXPECT_EQ(metadata.begin()->first, "nibble.data");
  EXPECT_EQ(description_of(network, metadata, {}), kept);
  folder.write("net.data.json", R"({"classes": ["beside"]})");
  EXPECT_EQ(description_of(network, metadata, {}).classes, std::vector<std::string>{"beside"});
}

}  // namespace
}  // namespace nibble::data
