#include "base/limits.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nibble::base {
namespace {

TEST(Limits, AreSetByNameWithSuffix) {
  Limits limits;
  limits.set("image-side=99");
  EXPECT_EQ(limits.image_side, 99);
  limits.set("json-bytes=3K");
  EXPECT_EQ(limits.json_bytes, 3 << 10);
  limits.set("json-bytes=2G");
  EXPECT_EQ(limits.json_bytes, int64_t{2} << 30);
}

TEST(Limits, RefuseWhatIsNotAPositiveNumberOfAKnownName) {
  Limits limits;
  for (const char* bad :
       {"", "image-side", "image-side=", "image-side=0", "image-side=-1", "image-side=1T", "image-side=1KK",
        "image-side=99999999999999999999", "image-side=9223372036854775807G", "image-side=1 ", "nothing=1", "=1"})
    EXPECT_THROW(limits.set(bad), Error) << bad;
  EXPECT_EQ(limits.image_side, Limits{}.image_side);
}

TEST(Limits, EveryRowOfTheTableCanBeSet) {
  for (const LimitRow& row : limit_rows()) {
    Limits limits;
    EXPECT_NO_THROW(limits.set(std::string(row.name) + "=7"));
    EXPECT_GT(row.value, 0);
    EXPECT_FALSE(row.why.empty());
  }
}

TEST(Limits, HittingOneNamesTheFlagThatRaisesIt) {
  EXPECT_NO_THROW(check_limit(5, 5, "image-side", "cat.jpg", "the width"));
  try {
    check_limit(6, 5, "image-side", "cat.jpg", "the width");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_status(), 6);
    EXPECT_STREQ(e.what(), "cat.jpg: the width is 6, the limit is 5; --limit image-side=6 raises it");
  }
}

}  // namespace
}  // namespace nibble::base
