#pragma once
#include "graph/graph.h"

/// Forms of a quantized network that other runtimes compute as the file says. onnxruntime's default optimisations
/// rewrite what they recognise; two of these rewrites lose accuracy or make the network unloadable at 4 bits, so save()
/// writes forms that they leave alone. Each is an equal network.
namespace nibble::model {

/// A float bias of a convolution or Gemm between quantized operands is rounded by onnxruntime to an int32 multiple of
/// scale_x * scale_w, which at 4 bits is coarse (measured: a fifth of a keyword spotter's answers changed). Written as
/// int32 with a fine scale of its own, a power of two, through DequantizeLinear it is used as it is. A bias that is not
/// exact in this form (see exact_bias) stays a float.
void write_integer_biases(graph::Graph& graph);

/// The bias rounded to multiples of 2^k with the largest magnitude below 2^30 of them: equal to float32 for values
/// within 2^7 of the largest, and off by at most 2^-31 of the largest for the others. Quantization stores biases like
/// this, so that the Graph holds what the file says.
tensor::Tensor exact_bias(const tensor::Tensor& bias);

/// onnxruntime moves QuantizeLinear up through MaxPool, Reshape and Transpose; they do not take uint4, and the network
/// would not load. A Min with the largest value of the codes, which changes nothing, stops it. (A Clip does not:
/// onnxruntime 1.32 looks at it and throws.)
void guard_narrow_activations(graph::Graph& graph);

/// For the file without 4-bit types: uint4 activations become uint8 ones after a Min and a Max to the range of 4 bits.
void use_byte_activations(graph::Graph& graph);

/// For the same file: int8 codes that came from int4 are multiplied by 8 and their scales divided by 8, which are the
/// same values. The biases that onnxruntime rounds to scale_x * scale_w are then 8 times finer, and 255 * 64 * 2 still
/// fits the 16-bit sums of processors without VNNI.
void refine_integer_codes(graph::Graph& graph);

}  // namespace nibble::model
