#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <span>
#include <type_traits>

namespace nibble::test {

/// Elements whose last byte is the last before a page that may not be touched: reading or writing one byte past the end
/// ends the process. The front is guarded too, up to the slack of one page.
template <typename T>
class GuardedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit GuardedBuffer(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (count * sizeof(T) + page - 1) / page * page;
    size_ = inside + 2 * page;
    base_ = static_cast<std::byte*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) std::abort();
    if (inside != 0 && mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(base_ + page + inside - count * sizeof(T));
  }
  ~GuardedBuffer() { munmap(base_, size_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  std::span<T> values() { return {data_, count_}; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  size_t count_ = 0, size_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace nibble::test
