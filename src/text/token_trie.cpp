#include "text/token_trie.h"

namespace nibble::text {

void TokenTrie::add(std::string_view text, int32_t value) {
  uint32_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t next = 0;
    if (i == 0) next = first_[static_cast<uint8_t>(text[0])];
    for (const Edge& edge : nodes_[node].edges)
      if (edge.byte == text[i]) next = edge.node;
    if (!next) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
      if (i == 0)
        first_[static_cast<uint8_t>(text[0])] = next;
      else
        nodes_[node].edges.push_back({text[i], next});
    }
    node = next;
  }
  nodes_[node].value = value;
}

std::optional<TokenTrie::Match> TokenTrie::longest(std::string_view text) const {
  std::optional<Match> best;
  uint32_t node = text.empty() ? 0 : first_[static_cast<uint8_t>(text[0])];
  for (size_t i = 1; node; ++i) {
    if (nodes_[node].value >= 0) best = Match{nodes_[node].value, i};
    if (i == text.size()) break;
    uint32_t next = 0;
    for (const Edge& edge : nodes_[node].edges)
      if (edge.byte == text[i]) next = edge.node;
    node = next;
  }
  return best;
}

}  // namespace nibble::text
