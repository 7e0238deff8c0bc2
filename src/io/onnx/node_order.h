#pragma once
#include <string>
#include <vector>

namespace nibble::onnx {
class GraphProto;
}

namespace nibble::io::onnx {

/// The order in which the nodes of `graph` can run: as in the file where that is sorted, else each node as early as its
/// inputs allow. What subgraphs read from outside counts as an input of their node.
///
/// Throws Error(kMalformed) when two nodes write one name, or for a cycle, naming the nodes on it.
std::vector<int> node_order(const nibble::onnx::GraphProto& graph, const std::string& place);

}  // namespace nibble::io::onnx
