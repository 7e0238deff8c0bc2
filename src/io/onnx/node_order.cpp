#include "io/onnx/node_order.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "io/onnx/onnx_schema.pb.h"

namespace nibble::io::onnx {
namespace schema = ::nibble::onnx;

namespace {

void for_each_read(const schema::NodeProto& node, const std::function<void(const std::string&)>& visit) {
  for (const std::string& name : node.input()) visit(name);
  for (const auto& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    for (const auto& inner : attribute.g().node()) for_each_read(inner, visit);
    for (const auto& output : attribute.g().output()) visit(output.name());
  }
}

std::string named(const schema::NodeProto& node) {
  const std::string& name = node.name().empty() && node.output_size() ? node.output(0) : node.name();
  return base::in_quotes(name) + " (" + base::printable(node.op_type(), 60) + ")";
}

/// Follows producers from a node that never became ready until one repeats: a cycle, backwards.
[[noreturn]] void fail_cycle(const schema::GraphProto& graph, const std::vector<std::vector<int>>& producers_of,
                             const std::vector<int>& waiting, const std::string& place) {
  const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](int count) { return count > 0; });
  std::vector<int> path{static_cast<int>(stuck - waiting.begin())};
  std::vector<bool> seen(waiting.size(), false);
  while (!seen[static_cast<size_t>(path.back())]) {
    seen[static_cast<size_t>(path.back())] = true;
    for (const int producer : producers_of[static_cast<size_t>(path.back())])
      if (waiting[static_cast<size_t>(producer)] > 0) {
        path.push_back(producer);
        break;
      }
  }
  const auto first = std::find(path.begin(), path.end(), path.back());
  std::string text;
  int shown = 0;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    if (++shown > 6) {
      text += " -> ...";
      break;
    }
    text += (text.empty() ? "" : " -> ") + named(graph.node(*it));
    if (it != path.rbegin() && it.base() - 1 == first) break;
  }
  base::fail_malformed(place, "has a cycle: " + text, "a network must not have one, export it again");
}

}  // namespace

std::vector<int> node_order(const schema::GraphProto& graph, const std::string& place) {
  const int count = graph.node_size();
  std::unordered_map<std::string_view, int> writer;
  for (int i = 0; i < count; ++i)
    for (const std::string& name : graph.node(i).output())
      if (!name.empty() && !writer.emplace(name, i).second)
        base::fail_malformed(place, "the value " + base::in_quotes(name) + " is written twice",
                             "export the network again");

  std::vector<std::vector<int>> producers(static_cast<size_t>(count)), readers(static_cast<size_t>(count));
  bool sorted = true;
  for (int i = 0; i < count; ++i) {
    auto& before = producers[static_cast<size_t>(i)];
    for_each_read(graph.node(i), [&](const std::string& name) {
      const auto it = writer.find(name);
      if (it != writer.end()) before.push_back(it->second);
    });
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    sorted = sorted && (before.empty() || before.back() < i);
  }
  std::vector<int> order;
  order.reserve(static_cast<size_t>(count));
  if (sorted) {
    for (int i = 0; i < count; ++i) order.push_back(i);
    return order;
  }
  // Kahn's algorithm; of the ready nodes the first in the file goes first, so that the result is stable.
  std::vector<int> waiting(static_cast<size_t>(count));
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < count; ++i) {
    waiting[static_cast<size_t>(i)] = static_cast<int>(producers[static_cast<size_t>(i)].size());
    for (const int producer : producers[static_cast<size_t>(i)]) readers[static_cast<size_t>(producer)].push_back(i);
    if (waiting[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const int reader : readers[static_cast<size_t>(i)])
      if (--waiting[static_cast<size_t>(reader)] == 0) ready.push(reader);
  }
  if (static_cast<int>(order.size()) != count) fail_cycle(graph, producers, waiting, place);
  return order;
}

}  // namespace nibble::io::onnx
