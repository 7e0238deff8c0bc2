#pragma once
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace nibble::train {

/// The float network that a student is measured by: what it answers, and its values on the way.
class Teacher {
 public:
  /// `logits` is the name of the value to answer with instead of the outputs; empty: all outputs.
  Teacher(const graph::Graph& graph, std::string logits, std::vector<std::string> features, base::ThreadPool& pool,
          const base::Limits& limits);

  struct Answers {
    std::vector<tensor::Tensor> outputs, features;
  };
  Answers answer(std::span<const tensor::Tensor> inputs);

 private:
  std::string logits_;
  std::vector<std::string> features_;
  runtime::Session session_;
};

/// Names of values that end a block: the residual additions of both networks, or where there are none, the last value
/// of each spatial size. Only values that have the batch first and the same shape in both.
std::vector<std::string> block_outputs(const graph::Graph& teacher, const graph::Graph& student);

}  // namespace nibble::train
