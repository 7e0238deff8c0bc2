#include "runtime/buffer_pool.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace nibble::runtime {

struct BufferPool::State {
  std::mutex mutex;
  std::vector<std::pair<size_t, std::byte*>> free;  // by size: few, so a sorted list is faster than a tree
  int64_t limit = 0, in_use = 0, peak = 0;

  /// The first that has at least so many bytes.
  static auto first_of(std::vector<std::pair<size_t, std::byte*>>& list, size_t bytes) {
    return std::lower_bound(list.begin(), list.end(), bytes,
                            [](const auto& buffer, size_t wanted) { return buffer.first < wanted; });
  }

  ~State() {
    for (auto& [size, memory] : free) std::free(memory);
  }
};

BufferPool::BufferPool(int64_t limit) : state_(std::make_shared<State>()) { state_->limit = limit; }

tensor::Tensor BufferPool::allocate(tensor::DType dtype, tensor::Shape shape) {
  const auto bytes = static_cast<size_t>(tensor::packed_bytes(dtype, tensor::element_count(shape)));
  size_t capacity = std::max<size_t>(64, (bytes + 63) / 64 * 64);
  std::byte* memory = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    state_->in_use += static_cast<int64_t>(capacity);
    if (state_->in_use > state_->limit) {
      const int64_t needed = state_->in_use;
      state_->in_use -= static_cast<int64_t>(capacity);
      base::check_limit(needed, state_->limit, "run-bytes", "",
                        "the memory that this run's activations need, in bytes,");
    }
    state_->peak = std::max(state_->peak, state_->in_use);
    const auto it = State::first_of(state_->free, capacity);
    if (it != state_->free.end() && it->first <= 2 * capacity) {
      memory = it->second;
      state_->in_use += static_cast<int64_t>(it->first - capacity);
      capacity = it->first;
      state_->free.erase(it);
    }
  }
  if (!memory) memory = static_cast<std::byte*>(std::aligned_alloc(64, capacity));
  if (!memory) throw std::bad_alloc();
  std::shared_ptr<const void> owner(memory, [state = state_, capacity](const void* p) {
    const std::lock_guard lock(state->mutex);
    state->free.emplace(State::first_of(state->free, capacity), capacity,
                        static_cast<std::byte*>(const_cast<void*>(p)));
    state->in_use -= static_cast<int64_t>(capacity);
  });
  return tensor::Tensor(dtype, std::move(shape), base::Bytes(memory, bytes), std::move(owner));
}

int64_t BufferPool::peak_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak;
}

}  // namespace nibble::runtime
