#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace nibble::base {
namespace {

thread_local bool inside_pool = false;
thread_local int current_worker = 0;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Cores granted by a cgroup (v2) CPU quota, or a large number.
int cgroup_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1 << 20;
  return std::max(1, static_cast<int>(std::stod(quota) / period + 0.5));
}

}  // namespace

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  return std::clamp(std::min(cores, cgroup_cores()), 1, 1024);
}

struct ThreadPool::State {
  /// `members` counts the workers inside the present job; with kClosed set nobody joins any more. A worker that wakes
  /// too late finds the job closed and costs the caller nothing.
  static constexpr int kClosed = 1 << 30;

  std::vector<std::thread> workers;
  // Handing over a job to workers that still spin, and taking it back while the caller does, needs no lock: `sleeping`
  // and `caller_sleeps` say when somebody has to be woken. Each side announces its sleep, then looks once more (both in
  // one total order), so that no wake-up is lost.
  std::mutex mutex;
  std::condition_variable wake, finished;
  std::atomic<int> sleeping{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<uint64_t> generation{0};
  std::atomic<bool> stop{false};
  std::atomic<int> members{kClosed};
  std::atomic<int64_t> next{0};
  int64_t count = 0;
  const std::function<void(int64_t, int)>* body = nullptr;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  std::mutex caller;  // one job at a time

  void drain(int worker) {
    current_worker = worker;
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      try {
        (*body)(index, worker);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next.store(count, std::memory_order_relaxed);
      }
    }
  }

  bool join() {
    int seen = members.load(std::memory_order_acquire);
    while (!(seen & kClosed))
      if (members.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  void serve(int worker) {
    inside_pool = true;
    uint64_t seen = 0;
    for (;;) {
      constexpr int kSpins = 2000;  // about 20 us: longer than the gap between two operators, shorter than a slice
      for (int i = 0; i < kSpins && generation.load(std::memory_order_acquire) == seen; ++i) {
        if (stop.load(std::memory_order_relaxed)) return;
        relax();
      }
      if (generation.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return generation.load() != seen || stop.load(); });
        sleeping.fetch_sub(1);
        if (stop.load()) return;
      }
      seen = generation.load(std::memory_order_acquire);
      if (!join()) continue;
      drain(worker);
      if (members.fetch_sub(1) == kClosed + 1 && caller_sleeps.load()) {
        const std::lock_guard lock(mutex);
        finished.notify_one();
      }
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int total = threads > 0 ? threads : available_threads();
  for (int worker = 1; worker < total; ++worker)
    state_->workers.emplace_back([this, worker] { state_->serve(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::for_each(int64_t count, const std::function<void(int64_t, int)>& body) {
  if (count <= 0) return;
  if (inside_pool || state_->workers.empty() || count == 1) {
    const int worker = inside_pool ? current_worker : 0;
    for (int64_t i = 0; i < count; ++i) body(i, worker);
    return;
  }
  State& s = *state_;
  const std::lock_guard one_job(s.caller);
  // Nobody is inside: the last job was closed and all its members have left.
  s.body = &body;
  s.count = count;
  s.next = 0;
  s.failure = nullptr;
  s.members.store(0, std::memory_order_release);
  s.generation.fetch_add(1);
  if (s.sleeping.load() > 0) {
    { const std::lock_guard lock(s.mutex); }  // a worker between its last look and its sleep
    s.wake.notify_all();
  }
  inside_pool = true;
  s.drain(0);
  inside_pool = false;
  s.members.fetch_or(State::kClosed, std::memory_order_acq_rel);
  for (int i = 0; i < 2000 && s.members.load(std::memory_order_acquire) != State::kClosed; ++i) relax();
  if (s.members.load(std::memory_order_acquire) != State::kClosed) {
    std::unique_lock lock(s.mutex);
    s.caller_sleeps = true;
    s.finished.wait(lock, [&] { return s.members.load() == State::kClosed; });
    s.caller_sleeps = false;
  }
  if (s.failure) std::rethrow_exception(s.failure);
}

}  // namespace nibble::base
