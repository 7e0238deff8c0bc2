#include "io/json/json.h"

#include "data/expected_files.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;

Json parse(std::string_view text, const base::Limits& limits = {}) { return parse_json(text, "made.json", limits); }

TEST(ParseJson, KeepsValuesAndOrder) {
  const Json json = parse(R"({"b": [1, -2.5, true, null, "x\u00e9"], "a": {"n": 9223372036854775807}})");
  const Json::Object& object = json.object("");
  ASSERT_EQ(object.size(), 2u);
  EXPECT_EQ(object[0].first, "b");
  const Json::Array& b = object[0].second.array("");
  EXPECT_EQ(b[0].integer(""), 1);
  EXPECT_EQ(b[1].number(""), -2.5);
  EXPECT_TRUE(b[2].boolean(""));
  EXPECT_TRUE(b[3].is_null());
  EXPECT_EQ(b[4].string(""), "x\xC3\xA9");
  EXPECT_EQ(json.find("a")->find("n")->integer(""), INT64_MAX);
  EXPECT_EQ(json.find("c"), nullptr);
  EXPECT_EQ(b[0].number(""), 1.0);  // an integer serves as a number
}

TEST(ParseJson, RefusesMalformedText) {
  for (const char* text :
       {"", "{", "[1,", "{\"a\":}", "[1] 2", "nul", "\"\xFF\"", "[01]", "{a:1}", "[1,]", "\"\\ud800\"", "NaN"})
    expect_error(ErrorKind::kMalformed, "made.json: the JSON is malformed", [&] { parse(text); });
}

TEST(ParseJson, RefusesDuplicateKeysOfOneObjectOnly) {
  expect_error(ErrorKind::kMalformed, "key \"a\" twice", [] { parse(R"({"a": 1, "b": 2, "a": 3})"); });
  expect_error(ErrorKind::kMalformed, "key \"a\" twice", [] { parse(R"([{"x": {"a": 1, "a": 1}}])"); });
  EXPECT_NO_THROW(parse(R"({"a": {"a": [{"a": 1}, {"a": 1}]}})"));
}

TEST(ParseJson, RefusesNumbersThatDoNotFit) {
  EXPECT_EQ(parse("-9223372036854775808").integer(""), INT64_MIN);
  expect_error(ErrorKind::kMalformed, "outside 64 bits", [] { parse("9223372036854775808"); });
  expect_error(ErrorKind::kMalformed, "outside 64 bits", [] { parse("-9223372036854775809"); });
  expect_error(ErrorKind::kMalformed, "outside 64 bits", [] { parse("123456789012345678901234567890"); });
  expect_error(ErrorKind::kMalformed, "malformed", [] { parse("1e999"); });
}

TEST(ParseJson, StopsAtSixtyFourLevels) {
  EXPECT_NO_THROW(parse(std::string(64, '[') + std::string(64, ']')));
  expect_error(ErrorKind::kMalformed, "deeper than 64", [] { parse(std::string(65, '[') + std::string(65, ']')); });
  expect_error(ErrorKind::kMalformed, "deeper than 64", [] { parse(std::string(1'000'000, '[')); });
}

TEST(ParseJson, ChecksItsLimits) {
  base::Limits limits;
  limits.json_bytes = 10;
  expect_error(ErrorKind::kLimit, "--limit json-bytes=", [&] { parse("[1, 2, 3, 4, 5]", limits); });
  limits = {};
  limits.string_bytes = 3;
  expect_error(ErrorKind::kLimit, "--limit string-bytes=", [&] { parse("[\"abcd\"]", limits); });
  expect_error(ErrorKind::kLimit, "--limit string-bytes=", [&] { parse("{\"abcd\": 1}", limits); });
}

TEST(Json, NamesWhatWasFoundAndExpected) {
  const Json json = parse(R"({"a": "text", "b": 1.0})");
  expect_error(ErrorKind::kMalformed, "here: is a string, an integer was expected",
               [&] { json.find("a")->integer("here"); });
  expect_error(ErrorKind::kMalformed, "is a number, an integer was expected", [&] { json.find("b")->integer("here"); });
  expect_error(ErrorKind::kMalformed, "is an object, an array was expected", [&] { json.array("here"); });
  expect_error(ErrorKind::kMalformed, "is a string, a number was expected", [&] { json.find("a")->number("here"); });
  expect_error(ErrorKind::kMalformed, "is a string, true or false", [&] { json.find("a")->boolean("here"); });
  expect_error(ErrorKind::kMalformed, "is a number, a string was", [&] { json.find("b")->string("here"); });
  expect_error(ErrorKind::kMalformed, "is a number, an object was", [&] { json.find("b")->object("here"); });
}

TEST(ToText, ReadsBackEqual) {
  const Json json(Json::Object{{"name", "a \"quoted\"\n\ttext \\ \x01"},
                               {"values", Json::Array{Json(1), Json(0.1), Json(1e300), Json(-0.0), Json(3.0)}},
                               {"nested", Json::Object{{"empty", Json::Array{}}, {"none", Json()}, {"yes", true}}}});
  for (const int indent : {0, 2}) EXPECT_EQ(parse(to_text(json, indent)), json) << to_text(json, indent);
  EXPECT_EQ(to_text(Json(Json::Array{Json(1), Json(0.5)})), "[1,0.5]");
  EXPECT_EQ(to_text(Json(Json::Object{{"a", 1}, {"b", Json::Array{Json(2)}}})), "{\n  \"a\": 1,\n  \"b\": [2]\n}");
}

}  // namespace
}  // namespace nibble::io
