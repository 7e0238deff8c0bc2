#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/description.h"
#include "graph/graph.h"
#include "model/matmul_nbits_form.h"
#include "nibble/network.h"

namespace nibble {

struct Network::Impl {
  graph::Graph graph;
  data::DataDescription description;
  std::vector<std::filesystem::path> sources;  ///< files that an output must never be
  std::vector<std::string> notes;
  std::vector<ValueInfo> inputs, outputs;
  std::string scheme;
  int64_t weights = 0, weight_bytes = 0, file_bytes = 0;
};

inline model::OnnxStyle style_of(OnnxStyle style) {
  return style == OnnxStyle::kMatMulNBits ? model::OnnxStyle::kMatMulNBits : model::OnnxStyle::kQdq;
}

/// Fills what is derived from the Graph.
Network make_network(Network::Impl impl);

/// The sizes that a network's only input takes: its fixed batch, or 16 where any will do.
int64_t batch_size(const graph::Graph& graph);

}  // namespace nibble
