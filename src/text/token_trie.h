#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace nibble::text {

/// Texts with a number each, found at the front of another text.
class TokenTrie {
 public:
  struct Match {
    int32_t value;
    size_t bytes;
  };
  /// `text` is not empty; of one that is there twice the last value holds.
  void add(std::string_view text, int32_t value);
  /// The longest text that `text` begins with.
  std::optional<Match> longest(std::string_view text) const;
  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Edge {
    char byte;
    uint32_t node;
  };
  struct Node {
    std::vector<Edge> edges;
    int32_t value = -1;
  };
  std::vector<Node> nodes_{1};
  std::array<uint32_t, 256> first_{};  ///< the root's edges; 0: none
};

}  // namespace nibble::text
