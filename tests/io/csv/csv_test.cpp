#include "io/csv/csv.h"

#include <gtest/gtest.h>

#include "data/expected_files.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;

using Rows = std::vector<std::vector<std::string>>;

Rows read(std::string_view text, char separator = ',', const base::Limits& limits = {}) {
  Rows rows;
  read_csv(text, separator, "x.csv", limits, [&](int64_t, const std::vector<std::string>& f) { rows.push_back(f); });
  return rows;
}

TEST(Csv, SplitsFieldsAndLines) {
  EXPECT_EQ(read("a,b\r\n1,2\n\n3,\n"), (Rows{{"a", "b"}, {"1", "2"}, {"3", ""}}));
  EXPECT_EQ(read("1\t2", '\t'), (Rows{{"1", "2"}}));
  EXPECT_EQ(read("\xEF\xBB\xBFx\n"), (Rows{{"x"}}));
  EXPECT_EQ(read(""), Rows{});
}

TEST(Csv, QuotedFieldsHoldAnything) {
  EXPECT_EQ(read("\"a,b\",\"say \"\"hi\"\"\"\n\"two\nlines\",\"\"\r\n"),
            (Rows{{"a,b", "say \"hi\""}, {"two\nlines", ""}}));
  std::vector<int64_t> lines;
  read_csv("\"two\nlines\"\nx\n", ',', "x", {}, [&](int64_t line, const auto&) { lines.push_back(line); });
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 3}));
}

TEST(Csv, SaysWhatIsWrongAndWhere) {
  expect_error(ErrorKind::kMalformed, "line 2: has 1 fields, the first one has 2", [] { read("a,b\n1\n"); });
  expect_error(ErrorKind::kMalformed, "line 1: a quote is opened", [] { read("\"a\nb\n"); });
  expect_error(ErrorKind::kMalformed, "a quote stands inside", [] { read("a\"b\n"); });
  expect_error(ErrorKind::kMalformed, "follows a closing quote", [] { read("\"a\"b\n"); });
  expect_error(ErrorKind::kMalformed, "NUL", [] { read({"a\0b", 3}); });
  base::Limits limits;
  limits.string_bytes = 3;
  expect_error(ErrorKind::kLimit, "string-bytes", [&] { read("abcd\n", ',', limits); });
  limits = {};
  limits.tensor_elements = 3;
  expect_error(ErrorKind::kLimit, "tensor-elements", [&] { read("a,b\n1,2\n", ',', limits); });
}

TEST(Csv, GuessesTheSeparatorFromTheFirstLine) {
  EXPECT_EQ(separator_of("a,b\tc\n"), '\t');
  EXPECT_EQ(separator_of("1;2\n3,4"), ';');
  EXPECT_EQ(separator_of("1,5;2\n"), ',');
  EXPECT_EQ(separator_of("1"), ',');
}

}  // namespace
}  // namespace nibble::io
