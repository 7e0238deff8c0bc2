#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "base/error.h"

namespace nibble::base {
namespace {

TEST(ThreadPool, CallsEveryIndexOnceWithAValidWorker) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t count : {0, 1, 2, 3, 100, 10000}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(count));
      std::atomic<bool> bad_worker{false};
      pool.for_each(count, [&](int64_t i, int worker) {
        ++calls[static_cast<size_t>(i)];
        if (worker < 0 || worker >= threads) bad_worker = true;
      });
      for (const auto& c : calls) ASSERT_EQ(c.load(), 1);
      EXPECT_FALSE(bad_worker);
    }
  }
}

TEST(ThreadPool, NoTwoCallsAtTheSameTimeShareAWorker) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> clash{false};
  pool.for_each(2000, [&](int64_t, int worker) {
    if (inside[static_cast<size_t>(worker)].fetch_add(1) != 0) clash = true;
    std::this_thread::yield();
    inside[static_cast<size_t>(worker)].fetch_sub(1);
  });
  EXPECT_FALSE(clash);
}

TEST(ThreadPool, AnExceptionReachesTheCallerAndThePoolGoesOn) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> after{0};
    EXPECT_THROW(pool.for_each(1000,
                               [&](int64_t i, int) {
                                 if (i == 7) fail_limit("x", "y");
                                 ++after;
                               }),
                 Error);
    std::atomic<int64_t> sum{0};
    pool.for_each(100, [&](int64_t i, int) { sum += i; });
    EXPECT_EQ(sum, 4950);
  }
}

TEST(ThreadPool, NestedCallsRunOnTheCallingWorkerAlone) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  std::atomic<bool> wrong{false};
  pool.for_each(50, [&](int64_t, int worker) {
    const auto self = std::this_thread::get_id();
    pool.for_each(20, [&](int64_t j, int inner) {
      if (inner != worker || std::this_thread::get_id() != self) wrong = true;
      sum += j;
    });
  });
  EXPECT_EQ(sum, 50 * 190);
  EXPECT_FALSE(wrong);
}

TEST(ThreadPool, AnExceptionFromANestedCallReachesTheOutermostCaller) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.for_each(4, [&](int64_t, int) { pool.for_each(4, [](int64_t, int) { fail_io("a", "b"); }); }),
               Error);
}

TEST(ThreadPool, ServesCallersFromSeveralThreads) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat) pool.for_each(10, [&](int64_t i, int) { sum += i; });
    });
  for (auto& c : callers) c.join();
  EXPECT_EQ(sum, 4 * 50 * 45);
}

TEST(ThreadPool, ManyShortJobsAfterOneAnother) {
  ThreadPool pool(2);
  int64_t total = 0;
  for (int job = 0; job < 3000; ++job) {
    std::array<int64_t, 3> part{};
    pool.for_each(3, [&](int64_t i, int) { part[static_cast<size_t>(i)] = i + 1; });
    total += std::accumulate(part.begin(), part.end(), int64_t{0});
  }
  EXPECT_EQ(total, 3000 * 6);
}

TEST(AvailableThreads, IsAtLeastOne) { EXPECT_GE(available_threads(), 1); }

}  // namespace
}  // namespace nibble::base
