#include "support/guarded_buffer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace nibble::test {
namespace {

volatile uint8_t sink;

void without_core_dump() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGSEGV, SIG_DFL);
}

TEST(GuardedBuffer, HoldsWhatIsWritten) {
  for (const size_t count : {size_t{1}, size_t{7}, size_t{4096}, size_t{5000}}) {
    GuardedBuffer<uint8_t> buffer(count);
    for (size_t i = 0; i < count; ++i) buffer[i] = static_cast<uint8_t>(i);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(buffer[i], static_cast<uint8_t>(i));
  }
}

TEST(GuardedBufferDeathTest, StopsAReadOneBytePastTheEnd) {
  for (const size_t count : {size_t{1}, size_t{7}, size_t{4096}}) {
    EXPECT_EXIT(
        {
          without_core_dump();
          GuardedBuffer<uint8_t> buffer(count);
          sink = *(static_cast<volatile uint8_t*>(buffer.data()) + count);
        },
        ::testing::KilledBySignal(SIGSEGV), "");
  }
}

TEST(GuardedBufferDeathTest, StopsAWriteOneElementPastTheEnd) {
  EXPECT_EXIT(
      {
        without_core_dump();
        GuardedBuffer<int32_t> buffer(3);
        *(static_cast<volatile int32_t*>(buffer.data()) + 3) = 1;
      },
      ::testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace nibble::test
