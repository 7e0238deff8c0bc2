#include "text/regex.h"

#include <gtest/gtest.h>

#include "data/expected_files.h"

namespace nibble::text {
namespace {

using base::ErrorKind;
using test::expect_error;

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  const Regex regex(pattern, "x.json");
  Regex::Search search(regex);
  search.start(text);
  std::vector<std::string> out;
  while (const auto span = search.next()) out.push_back(text.substr(span->begin, span->end - span->begin));
  return out;
}

using Words = std::vector<std::string>;

TEST(Regex, finds_matches_front_to_back_and_begins_again) {
  EXPECT_EQ(matches(" ?\\p{L}+", "Straße  und Äpfel"), (Words{"Straße", " und", " Äpfel"}));
  const Regex regex("b", "x.json");
  Regex::Search search(regex);
  for (int i = 0; i < 2; ++i) {
    search.start("abcb");
    EXPECT_EQ(search.next(), (Span{1, 2}));
    EXPECT_EQ(search.next(), (Span{3, 4}));
    EXPECT_EQ(search.next(), std::nullopt);
  }
}

TEST(Regex, has_white_space_and_word_characters_of_unicode) {
  EXPECT_EQ(matches("\\s", "a\u180e\u00a0\u0085\u3000\u200b"), (Words{"\u00a0", "\u0085", "\u3000"}));
  EXPECT_EQ(matches("\\w+", "a\u0301_9 \u2160 \u00bd -"), (Words{"a\u0301_9", "\u2160", "\u00bd"}));
  EXPECT_EQ(matches("[\\w]+", "\u2160 \u00bd"), (Words{"\u2160"}));
  EXPECT_EQ(matches("\\p{Han}+", "\u4e00\u3001\u4e8c"), (Words{"\u4e00", "\u4e8c"}));
}

TEST(Regex, leaves_out_empty_matches) { EXPECT_EQ(matches("a*", "baab"), (Words{"aa"})); }

TEST(Regex, holds_at_line_ends_as_oniguruma_does) { EXPECT_EQ(matches("a$", "a\na b"), (Words{"a"})); }

TEST(Regex, refuses_what_means_another_thing_elsewhere) {
  const auto refused = [](const std::string& part, const std::string& pattern) {
    expect_error(ErrorKind::kUnsupported, part, [&] { Regex(pattern, "x.json"); });
  };
  refused("\\\\h", "\\h");
  refused("\\S in a class", "[\\S]");
  refused("a class in a class", "[a[b]]");
  refused("an intersection", "[a&&b]");
  refused("a group", "(?<name>a)");
  refused("a group", "(?#comment)");
  refused("a verb", "(*FAIL)");
  refused("a possessive repetition", "a{1,2}+");
  refused("lower bound", "a{,2}");
  refused("\\x of a byte", "\\xE9");
  refused("a property without braces", "\\pL");
  refused("the property", "\\p{^L}");
  refused("backslash at the end", "a\\");
  refused("does not compile", "(");
  refused("does not compile", "\\p{Klingon}");
  refused("\\\\1", "(a)\\1");
}

TEST(Regex, stops_a_search_that_never_ends) {
  std::string text(5000, 'a');
  text += 'b';
  expect_error(ErrorKind::kLimit, "needs too much", [&] { matches("(a|aa)+$", text); });
}

}  // namespace
}  // namespace nibble::text
