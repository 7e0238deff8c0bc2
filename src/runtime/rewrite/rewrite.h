#pragma once
#include "base/limits.h"
#include "base/thread_pool.h"
#include "graph/graph.h"

/// Rewrites of a Graph into an equal one. Each is one file; the first group is good for any Graph, the second makes the
/// Session's own form (operators of domain "nibble", channels last) and is never written to a file.
namespace nibble::runtime {

/// Computes every node whose inputs are constants, and infers shapes again that this settles; results above
/// limits.fold_one (all together: fold_all) stay nodes. The graph's shapes are inferred.
void fold_constants(graph::Graph& graph, base::ThreadPool& pool, const base::Limits& limits);
/// An If whose condition is constant becomes the nodes of the branch that it takes. True when there was one.
bool take_known_branches(graph::Graph& graph);
/// Both of these until nothing changes.
void settle(graph::Graph& graph, base::ThreadPool& pool, const base::Limits& limits);
/// Removes Identity, Dropout and casts to the same type.
void remove_identities(graph::Graph& graph);
/// Removes nodes whose outputs nothing reads.
void remove_dead_nodes(graph::Graph& graph);
/// Folds BatchNormalization into the convolution or product before it, and the addition of a constant a channel into
/// its bias, where the weight is a float constant and nothing else reads the intermediate value. Factors in double.
void fold_batch_normalization(graph::Graph& graph);
void fold_bias(graph::Graph& graph);

/// Conv followed by Relu, LeakyRelu or Clip with constant limits -> FusedConv.
void fuse_activations(graph::Graph& graph);
/// Quantize/Dequantize pairs around convolutions and products with 4- or 8-bit constant weights -> integer operators.
void fuse_integer_arithmetic(graph::Graph& graph);
/// An integer operator whose only reader is a QuantizeLinear writes the codes itself. After fuse_activations.
void fuse_requantization(graph::Graph& graph);
/// Two-dimensional convolutions and poolings run on [N,H,W,C]; the transpositions meet and cancel.
void use_channels_last(graph::Graph& graph);

/// All of the above in the order that the Session wants.
void rewrite_for_execution(graph::Graph& graph, base::ThreadPool& pool, const base::Limits& limits);

}  // namespace nibble::runtime
