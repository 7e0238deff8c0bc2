#include "base/error.h"

#include <gtest/gtest.h>

namespace nibble::base {
namespace {

TEST(Error, SaysPlaceSentenceAndAdvice) {
  const Error e(ErrorKind::kMalformed, "net.onnx", "ends early", "download it again");
  EXPECT_STREQ(e.what(), "net.onnx: ends early; download it again");
  EXPECT_EQ(e.exit_status(), 3);
  EXPECT_STREQ(Error(ErrorKind::kIo, "", "ends early").what(), "ends early");
}

TEST(Error, WithinPutsTheOuterPlaceFirstAndKeepsTheRest) {
  const Error e = Error(ErrorKind::kLimit, "row 3", "is too long", "cut it").within("net.onnx");
  EXPECT_STREQ(e.what(), "net.onnx: row 3: is too long; cut it");
  EXPECT_EQ(e.kind(), ErrorKind::kLimit);
  EXPECT_STREQ(Error(ErrorKind::kIo, "", "x").within("f").what(), "f: x");
}

TEST(Error, KindsAreTheExitStatuses) {
  const auto status = [](auto fail) {
    try {
      fail("p", "s", "");
    } catch (const Error& e) {
      return e.exit_status();
    }
    return -1;
  };
  EXPECT_EQ(status(fail_usage), 2);
  EXPECT_EQ(status(fail_malformed), 3);
  EXPECT_EQ(status(fail_unsupported), 4);
  EXPECT_EQ(status(fail_io), 5);
  EXPECT_EQ(status(fail_limit), 6);
}

TEST(Error, ABrokenInvariantIsInternalAndNamesTheCondition) {
  try {
    NIBBLE_INVARIANT(1 + 1 == 3);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_status(), 7);
    EXPECT_NE(std::string(e.what()).find("1 + 1 == 3"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("error_test.cpp:"), std::string::npos);
    EXPECT_EQ(std::string(e.what()).find('/'), std::string::npos) << "a build path leaks";
  }
}

TEST(Printable, EscapesWhatCouldDriveATerminal) {
  EXPECT_EQ(printable("plain"), "plain");
  EXPECT_EQ(printable("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\x0ab\\x09c\\x0d");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b") << "a C1 control in UTF-8";
  EXPECT_EQ(in_quotes("a\"b\\"), "\"a\\\"b\\\\\"");
}

TEST(Printable, KeepsUtf8AndEscapesWhatIsNot) {
  EXPECT_EQ(printable("gr\xc3\xb6\xc3\x9f"
                      "e \xe2\x82\xac \xf0\x9f\x98\x80"),
            "gr\xc3\xb6\xc3\x9f"
            "e \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc0\x80"), "\\xc0\\x80") << "overlong zero";
  EXPECT_EQ(printable("\xe0\x80\x80"), "\\xe0\\x80\\x80") << "overlong, three bytes";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "past the last code point";
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82") << "cut short";
}

TEST(Printable, CutsLongTextAtCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_EQ(printable("\xe2\x82\xac\xe2\x82\xac", 1), "\xe2\x82\xac...");
  EXPECT_EQ(in_quotes(std::string(1000, 'x')).size(), 80 + 3 + 2u);
}

}  // namespace
}  // namespace nibble::base
