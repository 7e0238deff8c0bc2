#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/byte_alphabet.h"
#include "text/canonical_form.h"

namespace nibble::text {
namespace {

TEST(Utf8, code_points_survive) {
  for (const char32_t code : {0x1u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFDu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    append_code_point(text, code);
    EXPECT_EQ(text.size(), length_of_lead(text[0]));
    std::string_view rest = text;
    EXPECT_EQ(take_code_point(rest), code);
    EXPECT_TRUE(rest.empty());
  }
}

// What Python gives for bytes.decode("utf-8", "replace").
TEST(Utf8, replaces_as_python_does) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(replace_invalid("abc"), "abc");
  EXPECT_EQ(replace_invalid("a\xff"
                            "b"),
            "a" + r + "b");
  EXPECT_EQ(replace_invalid("\xe2\x82"), r);
  EXPECT_EQ(replace_invalid("\xe2\x28\xa1"), r + "(" + r);
  EXPECT_EQ(replace_invalid("\xed\xa0\x80"), r + r + r);
  EXPECT_EQ(replace_invalid("\xf0\x9f\x98"), r);
  EXPECT_EQ(replace_invalid("\xf0\x80\x80"
                            "A"),
            r + r + r + "A");
  EXPECT_EQ(replace_invalid("\xf4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(replace_invalid("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
                            "A"),
            r + r + r + r + "A");
}

TEST(Utf8, knows_what_may_still_become_a_character) {
  EXPECT_EQ(invalid_length("\xf0\x9f"), 0u);
  EXPECT_EQ(invalid_length("\xf0\x9f"
                           "a"),
            2u);
  EXPECT_EQ(invalid_length("\x80"), 1u);
}

TEST(ByteAlphabet, has_a_character_for_each_byte) {
  EXPECT_EQ(character_of_byte('A'), "A");
  EXPECT_EQ(character_of_byte(' '), "Ġ");
  EXPECT_EQ(character_of_byte('\n'), "Ċ");
  for (int b = 0; b < 256; ++b)
    EXPECT_EQ(bytes_of_characters(character_of_byte(static_cast<uint8_t>(b))), std::string(1, static_cast<char>(b)));
  EXPECT_EQ(bytes_of_characters("a b"), std::nullopt);
  EXPECT_EQ(byte_of_token("<0x0A>"), 10);
  EXPECT_EQ(byte_of_token("<0x0a>"), std::nullopt);
  EXPECT_EQ(byte_of_token("<0x0A"), std::nullopt);
}

// Examples of Unicode Standard Annex 15, and compositions that are excluded or blocked.
TEST(CanonicalForm, composes_and_decomposes) {
  EXPECT_EQ(to_nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(to_nfd("\u00e9"), "e\u0301");
  EXPECT_EQ(to_nfc("\u212b"), "\u00c5");
  EXPECT_EQ(to_nfc("\u1e9b\u0323"), "\u1e9b\u0323");
  EXPECT_EQ(to_nfd("\u1e9b\u0323"), "\u017f\u0323\u0307");
  EXPECT_EQ(to_nfc("\u0344"), "\u0308\u0301");
  EXPECT_EQ(to_nfc("\u0958"), "\u0915\u093c");
  EXPECT_EQ(to_nfc("a\u0315\u0300"), "\u00e0\u0315");
  EXPECT_EQ(to_nfc("a\u0300\u0300"), "\u00e0\u0300");
  EXPECT_EQ(to_nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(to_nfd("\uac01"), "\u1100\u1161\u11a8");
  EXPECT_EQ(to_nfc("plain"), "plain");
}

}  // namespace
}  // namespace nibble::text
