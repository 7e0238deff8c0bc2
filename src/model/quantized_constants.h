#pragma once
#include "graph/graph.h"

namespace nibble::model {

/// Turns every DequantizeLinear of constants into one constant with a Quantization, so that Conv, MatMul or Gemm read a
/// quantized weight. Recognised, for codes of type int4, uint4, i8 or u8 that a number format of that name exists for:
///
///     codes [code_shape] ─▶ DequantizeLinear(axis, block_size) ─▶ [Add of a constant] ─▶ [Reshape] ─▶ readers
///     scale f32, or f16/bf16 through Cast to float ──▲ (and zero point)
///
/// The Add is the `minmax` map's real offset: one value, or one for each index of `axis`; not with block_size. Add and
/// Reshape belong to the constant only where they are the sole reader of what they read. Nodes of this form whose
/// result is an output of the network stay. Two equal DequantizeLinear of the same constants become one constant. A
/// com.microsoft MatMulNBits stays a node.
///
/// The Graph is one of the canonical opset (model::upgrade). Throws Error(kMalformed) naming the node for scales and
/// zero points that do not fit the codes, and for scales that are not finite.
void fold_quantized_constants(graph::Graph& g);

/// The exact inverse, what `save` writes. A constant NAME becomes
///
///     NAME_quantized      the codes, in code_shape
///     NAME_scale          as stored; 16-bit scales go through a Cast (NAME_scale_f32), the one form that onnxruntime
///     runs NAME_zero_point     where there is one NAME_offset         the minmax map's offsets, shaped for
///     broadcasting against the codes
///
/// and DequantizeLinear [Add] [Reshape] nodes, one chain for each reader (a shared output would keep onnxruntime from
/// fusing it), whose results are NAME, NAME_1, ... Folding the result gives the same bits.
///
/// Throws Error(kUnsupported) for what ONNX cannot say in a form that runtimes run: the formats nf4, fp4, mxfp4 and
/// nvfp4, and offsets with groups.
void expand_quantized_constants(graph::Graph& g);

/// Makes 8-bit codes of 4-bit ones (int4 -> i8, uint4 -> u8; scales, zero points and offsets unchanged), for runtimes
/// without 4-bit kernels: the values that the constants stand for stay exactly the same.
void widen_quantized_constants(graph::Graph& g);

}  // namespace nibble::model
