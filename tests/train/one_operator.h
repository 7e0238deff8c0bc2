#pragma once
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/thread_pool.h"
#include "runtime/session.h"
#include "support/graph_builder.h"
#include "train/module.h"

namespace nibble::test {

using Attributes = std::map<std::string, graph::Attribute>;

/// One node on given inputs. Every float input varies, but those that `fixed` names by their place.
struct OperatorCase {
  std::string name, op;
  std::vector<tensor::Tensor> inputs;  ///< an empty Tensor is an omitted input
  Attributes attributes = {};
  int outputs = 1;
  std::vector<size_t> fixed = {};
  double step = 1.0 / 32;  ///< of finite differences; no kink lies within it
  double units = 8;        ///< how many rounding errors of its largest value an output may be wrong by
};
inline void PrintTo(const OperatorCase& c, std::ostream* out) { *out << c.name; }

/// A table of cases as googletest wants it: names of letters and digits.
inline std::string name_of_case(const testing::TestParamInfo<OperatorCase>& info) {
  std::string name = info.param.op + "_" + info.param.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

/// Numbers evenly spread over [low, high], no two closer than (high - low) / elements, none on the ends, in random
/// order.
tensor::Tensor spread(tensor::Shape shape, double low, double high);
/// The same around 0, an eighth apart; with an even number of elements none is nearer to 0 than a sixteenth.
tensor::Tensor eighths(tensor::Shape shape);
/// Normally distributed numbers, others at every call since `restart_numbers`, which every family begins with.
tensor::Tensor normal(tensor::Shape shape, double scale = 1);
void restart_numbers();
inline tensor::Tensor list_of(const std::vector<int64_t>& values) {
  return tensor::Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}
tensor::Tensor truths(tensor::Shape shape, const std::vector<uint8_t>& values);

/// What two values may differ by at most, and whether that says anything.
testing::AssertionResult within(double got, double want, double bound);

/// Checks one case of an operator with libtorch behind it against our Session, which knows nothing of libtorch.
class OperatorCheck {
 public:
  explicit OperatorCheck(const OperatorCase& c);
  /// Types aside, shapes and values of all outputs are the Session's.
  void check_forward() const;
  /// The gradient of sum(weights * outputs) with respect to every varying input is its central difference.
  void check_gradient() const;

 private:
  std::vector<tensor::Tensor> outputs(const std::vector<tensor::Tensor>& varying) const;
  /// Gradients of the varying inputs, then of probes added to the outputs and to their shapes, for the loss "mean
  /// squared error over variance" against `targets`.
  std::vector<tensor::Tensor> gradients(const std::vector<tensor::Tensor>& targets) const;

  OperatorCase case_;
  std::vector<tensor::Tensor> varying_, plain_;  ///< inputs that vary; outputs of the Session for them
  std::vector<tensor::Tensor> targets_;          ///< outputs as floats, then shapes as floats
  mutable base::ThreadPool pool_{1};
  std::unique_ptr<runtime::Session> session_;
  std::unique_ptr<train::Autograd> autograd_;
};

// The cases of every family, which `gradients_test.cpp` holds against the table of gradients.
std::vector<OperatorCase> activation_cases();
std::vector<OperatorCase> arithmetic_cases();
std::vector<OperatorCase> reduction_cases();
std::vector<OperatorCase> product_cases();
std::vector<OperatorCase> normalization_cases();
std::vector<OperatorCase> movement_cases();
std::vector<OperatorCase> indexing_cases();
std::vector<OperatorCase> recurrent_cases();

}  // namespace nibble::test

/// Runs a family's cases.
#define NIBBLE_OPERATOR_CASES(Family, cases)                                   \
  class Family : public testing::TestWithParam<nibble::test::OperatorCase> {}; \
  TEST_P(Family, ForwardIsTheSessions) {                                       \
    NIBBLE_REQUIRE_TRAINING();                                                 \
    nibble::test::OperatorCheck(GetParam()).check_forward();                   \
  }                                                                            \
  TEST_P(Family, GradientIsTheCentralDifference) {                             \
    NIBBLE_REQUIRE_TRAINING();                                                 \
    nibble::test::OperatorCheck(GetParam()).check_gradient();                  \
  }                                                                            \
  INSTANTIATE_TEST_SUITE_P(Operators, Family, testing::ValuesIn(cases), nibble::test::name_of_case)
