#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace nibble::base {

/// How many cores this process may use (affinity mask and cgroup quota).
int available_threads();

/// A fixed set of threads that work through index ranges. Passed in, never ambient. The calling thread takes part.
///
/// Results must not depend on the number of threads: cut work by problem size, write to disjoint places, and reduce in
/// index order. Workers spin briefly for the next job, then block.
class ThreadPool {
 public:
  /// `threads` counts the calling thread; 0 means available_threads().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls `body(index, worker)` once for every index in [0, count), in any order; `worker` is in [0, threads()) and
  /// distinguishes calls that run at the same time (for scratch memory). The first exception thrown by a body reaches
  /// the caller after all workers stopped. Calls from within a body run on the calling worker alone.
  void for_each(int64_t count, const std::function<void(int64_t index, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nibble::base
