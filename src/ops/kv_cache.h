#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace nibble::ops {

/// What the attention of a language model remembers of earlier tokens: for each block of the model and each sequence
/// the keys and values of its positions 0, 1, 2, ... A Session that was given one (Session::use_cache) lets
/// CausalAttention add the tokens of every run. After a run that failed its blocks may differ in length: clear it.
class KeyValueCache {
 public:
  /// Of one sequence in one block: [positions, width] each, row-major.
  struct Rows {
    int64_t width = 0;
    std::vector<float> keys, values;

    int64_t length() const { return width == 0 ? 0 : static_cast<int64_t>(keys.size()) / width; }
    void truncate(int64_t length) {
      keys.resize(static_cast<size_t>(length * width));
      values.resize(static_cast<size_t>(length * width));
    }
  };

  /// Made empty on first use.
  Rows& rows(int64_t layer, int64_t sequence) { return rows_[{sequence, layer}]; }

  /// Positions that a sequence has.
  int64_t length(int64_t sequence) const {
    const auto it = rows_.lower_bound({sequence, 0});
    return it == rows_.end() || it->first.first != sequence ? 0 : it->second.length();
  }
  /// Forgets all positions of a sequence from `length` on.
  void truncate(int64_t sequence, int64_t length) {
    for (auto& [key, rows] : rows_)
      if (key.first == sequence && length < rows.length()) rows.truncate(length);
  }
  void clear() { rows_.clear(); }

 private:
  std::map<std::pair<int64_t, int64_t>, Rows> rows_;  // by sequence and block
};

}  // namespace nibble::ops
