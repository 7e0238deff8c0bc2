#include "base/bytes.h"

#include <gtest/gtest.h>

namespace nibble::base {
namespace {

Cursor cursor(std::string_view text) { return Cursor(as_bytes(text), "file.bin"); }

TEST(Cursor, ReadsLittleEndianFrontToBack) {
  Cursor c = cursor("\x01\x02\x03\x04\xff");
  EXPECT_EQ(c.read<uint16_t>("a"), 0x0201);
  EXPECT_EQ(c.read<uint16_t>("b"), 0x0403);
  EXPECT_EQ(c.offset(), 4u);
  EXPECT_FALSE(c.done());
  EXPECT_EQ(c.read<int8_t>("c"), -1);
  EXPECT_TRUE(c.done());
}

TEST(Cursor, ReadingPastTheEndNamesPlaceThingAndOffset) {
  Cursor c = cursor("\x01\x02\x03");
  c.read<uint8_t>("first");
  try {
    c.read<uint32_t>("length");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kMalformed);
    EXPECT_EQ(e.place(), "file.bin");
    EXPECT_NE(e.sentence().find("length at byte 1 needs 4 bytes, 2 remain"), std::string::npos) << e.sentence();
  }
  EXPECT_EQ(c.offset(), 1u) << "a refused read must not move";
}

TEST(Cursor, HugeCountsAreRefusedNotWrapped) {
  Cursor c = cursor("abc");
  EXPECT_THROW(c.take(UINT64_MAX, "blob"), Error);
  EXPECT_THROW(c.need(UINT64_MAX - 1, "blob"), Error);
  EXPECT_EQ(as_text(c.take(3, "blob")), "abc");
  EXPECT_EQ(c.take(0, "nothing").size(), 0u);
  EXPECT_THROW(c.take(1, "more"), Error);
}

TEST(Cursor, SeekMayReachTheEndButNotPassIt) {
  Cursor c = cursor("abc");
  c.seek(3, "end");
  EXPECT_TRUE(c.done());
  c.seek(0, "start");
  EXPECT_EQ(c.remaining(), 3u);
  EXPECT_THROW(c.seek(4, "table"), Error);
  EXPECT_THROW(c.seek(UINT64_MAX, "table"), Error);
}

}  // namespace
}  // namespace nibble::base
