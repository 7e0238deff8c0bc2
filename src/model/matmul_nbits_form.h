#pragma once
#include <string>

#include "graph/graph.h"

/// The form in which onnxruntime has 4-bit kernels: operators of its own domain com.microsoft that take packed codes.
namespace nibble::model {

/// How quantized weights are written.
enum class OnnxStyle : uint8_t {
  kQdq,          ///< DequantizeLinear before the operator: standard ONNX
  kMatMulNBits,  ///< com.microsoft MatMulNBits and GatherBlockQuantized where they can, DequantizeLinear elsewhere
};

/// What a weight looks like to the question whether a node can have the second form.
struct WeightForm {
  int bits = 4;
  int64_t group = 0;  ///< values that share a scale along the reduction axis (a table: along its rows); 0: all of them
  bool per_tensor = false;
  bool offset = false;           ///< the minmax map
  bool quantized_input = false;  ///< the node multiplies codes, not floats
};

/// Why a Conv, Gemm or MatMul with a constant weight, or a Gather of a constant table, cannot be written as MatMulNBits
/// or GatherBlockQuantized; empty when it can. `node` may read the float weight or the quantized one.
std::string why_not_nbits(const graph::Graph& g, const graph::Node& node, const WeightForm& form);

/// The block_size that a weight with `columns` values a row and this group is written with: the group itself, or the
/// smallest power of two from 16 up that takes a whole row.
int64_t nbits_block(int64_t columns, int64_t group);

/// Bytes of codes (the last block of a row is filled up), scales and zero points of a MatMulNBits weight.
int64_t nbits_bytes(int64_t rows, int64_t columns, int64_t block, int64_t scale_bits, bool float_zeros);

/// Rewrites what can be (why_not_nbits) of a Graph with quantized constants; the rest stays as it is.
///
///   MatMul(x, W), Gemm(x, W, bias)  ->  MatMulNBits(x, B, scales, zero points, -, bias), K, N, bits 4, block_size,
///                                       accuracy_level 1: x is not rounded. Codes of int4 move up by 8. Zero points
///                                       are always written, as codes, or as floats -offset / scale for the minmax map,
///                                       whose values then agree to float rounding.
///   Gather(W, indices)              ->  GatherBlockQuantized, gather_axis 0, quantize_axis 1; zero points always
///   written
///
/// Scales stay 16-bit constants; add_scale_casts makes the form that runtimes run.
void use_matmul_nbits(graph::Graph& g);

/// A Cast to float behind every 16-bit scale of a MatMulNBits or GatherBlockQuantized that computes in float32: the one
/// form with 16-bit scales that onnxruntime runs. fold_nbits takes it away again.
void add_scale_casts(graph::Graph& g);

/// The inverse, for Graphs of the canonical opset: a GatherBlockQuantized of constants becomes Gather of a quantized
/// constant; a MatMulNBits stays a node, whose scales become the 16-bit constant behind their Cast. What is not
/// constant, and GatherBlockQuantized that computes in 16 bits, stays as it is. Throws Error(kMalformed) naming the
/// node for parts that do not fit each other.
void fold_nbits(graph::Graph& g);

}  // namespace nibble::model
