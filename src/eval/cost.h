#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::eval {

/// Joules an inference and where the number comes from.
struct Energy {
  double joules = 0;
  bool estimated = false;
  std::string source;
};

/// From operation and byte counts of one sample, with the energies a operation of Jouppi et al., "Ten Lessons From
/// Three Generations Shaped Google's TPUv4i", ISCA 2021, table 2 (7 nm): int8 multiply 0.07 pJ, f32 multiply 1.31,
/// int32 add 0.03, f32 add 0.38, 64 bits from 1 MB SRAM 14, 64 bits from DDR 1300 (weights are read once an inference).
/// 4-bit multiplies are extrapolated by the product of the operands' widths. An order of magnitude, good for ratios.
Energy estimate_energy(const graph::Graph& graph, std::span<const tensor::Tensor> inputs);

/// A counter of this machine: RAPL's package domains where they are readable, or `command`, an external meter that
/// prints the joules used so far. std::nullopt where there is none.
class EnergyMeter {
 public:
  static std::optional<EnergyMeter> open(const std::string& command);
  /// Joules used so far. Throws Error(kIo).
  double joules() const;
  const std::string& source() const { return source_; }

 private:
  std::string command_, source_;
  std::vector<std::string> counters_;
};

/// Multiply-adds of one node, a product of ONNX or of the Session's own form, a recurrent cell or a transposed
/// convolution, in a graph whose shapes are inferred; 0 for every other node and where a size is unknown.
int64_t macs_of(const graph::Graph& graph, const graph::Node& node);

/// Multiply-adds of one sample in the products of a graph, from its inferred shapes for `inputs`.
int64_t count_macs(const graph::Graph& graph, std::span<const tensor::Tensor> inputs);

/// Bytes of the constants as the file holds them.
int64_t constant_bytes(const graph::Graph& graph);

}  // namespace nibble::eval
