// RNN, GRU and LSTM: forward and gradients of inputs, weights, biases and states, in every direction and layout.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> recurrent_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  struct Kind {
    const char* op;
    int64_t gates;
    int outputs;
  };
  for (const Kind& kind : {Kind{"RNN", 1, 2}, Kind{"GRU", 3, 2}, Kind{"LSTM", 4, 3}}) {
    const bool lstm = kind.gates == 4;
    const auto add = [&](const char* name, int64_t directions, bool bias, bool lengths, bool states, Attributes a) {
      const int64_t steps = 3, batch = 2, input = 2, hidden = 2;
      const bool batch_first = a.count("layout") != 0;
      const auto state = [&] {
        return normal(batch_first ? tensor::Shape{batch, directions, hidden} : tensor::Shape{directions, batch, hidden},
                      0.5);
      };
      std::vector<Tensor> inputs{
          normal(batch_first ? tensor::Shape{batch, steps, input} : tensor::Shape{steps, batch, input}),
          normal({directions, kind.gates * hidden, input}, 0.5),
          normal({directions, kind.gates * hidden, hidden}, 0.5),
          bias ? normal({directions, 2 * kind.gates * hidden}, 0.5) : Tensor(),
          lengths ? Tensor::of<int32_t>({batch}, std::vector<int32_t>{3, 1}) : Tensor(),
          states ? state() : Tensor()};
      if (lstm) {
        inputs.push_back(states ? state() : Tensor());
        inputs.push_back(states ? normal({directions, 3 * hidden}, 0.5) : Tensor());  // peepholes
      }
      a["hidden_size"] = hidden;
      // Each output is made in some ten operations a step; they are of the order 1.
      all.push_back({name, kind.op, std::move(inputs), std::move(a), kind.outputs, {}, 1.0 / 8, 32});
    };
    add("plain", 1, false, false, false, {});
    add("all", 1, true, true, true, {});
    add("reverse", 1, true, true, true, {{"direction", std::string("reverse")}});
    add("both", 2, true, true, true, {{"direction", std::string("bidirectional")}});
    add("batch_first", 2, true, false, true, {{"direction", std::string("bidirectional")}, {"layout", int64_t{1}}});
    add("clip", 1, true, false, true, {{"clip", 20.0f}});
    if (kind.gates == 3) add("reset_after", 1, true, true, true, {{"linear_before_reset", int64_t{1}}});
    if (kind.gates == 3) add("reset_after_no_bias", 1, false, false, true, {{"linear_before_reset", int64_t{1}}});
    if (lstm) add("coupled", 1, true, false, true, {{"input_forget", int64_t{1}}});
    if (kind.gates == 1) add("sigmoid", 1, true, false, true, {{"activations", std::vector<std::string>{"Sigmoid"}}});
  }
  return all;
}

NIBBLE_OPERATOR_CASES(RecurrentGradients, recurrent_cases());

}  // namespace nibble::test
