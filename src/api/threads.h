#pragma once
#include "base/error.h"
#include "base/thread_pool.h"

namespace nibble {

/// `threads` of a public option: 0 to 1024. Throws base::Error(kUsage).
inline int checked_threads(int threads) {
  if (threads < 0 || threads > 1024) base::fail_usage("threads", "takes a number from 1 to 1024 (0: every core)");
  return threads;
}

}  // namespace nibble
