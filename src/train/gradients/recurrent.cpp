// RNN, GRU and LSTM: a loop over the steps. Formulas and the order of the gates: the ONNX operator specifications (LSTM
// i, o, f, c; GRU z, r, h).
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

enum class Cell : uint8_t { kRnn, kGru, kLstm };

at::Tensor activated(Step& s, const std::string& name, const at::Tensor& x) {
  if (name == "Sigmoid") return at::sigmoid(x);
  if (name == "Tanh") return at::tanh(x);
  if (name == "Relu") return at::relu(x);
  s.unsupported("training follows the activations Sigmoid, Tanh and Relu");
}

/// One direction at work.
struct Direction {
  Step& s;
  Cell cell;
  std::vector<std::string> functions;
  at::Tensor recurrent;       ///< R transposed: [hidden, gates * hidden]
  at::Tensor recurrent_bias;  ///< [gates * hidden] of the recurrent product, or undefined
  at::Tensor peephole;        ///< [3 * hidden]: i, o, f; or undefined
  double clip = 0;
  bool coupled = false, reset_after_product = false;

  at::Tensor act(size_t f, const at::Tensor& x) const {
    return activated(s, functions.at(f), clip > 0 ? at::clamp(x, -clip, clip) : x);
  }

  /// One step from x W^T + Wb [batch, gates * hidden]; h and c [batch, hidden] are replaced.
  void step(const at::Tensor& rows, at::Tensor& h, at::Tensor& c) const {
    if (cell == Cell::kGru) return step_gru(rows, h);
    at::Tensor sum = rows + at::mm(h, recurrent);
    if (recurrent_bias.defined()) sum = sum + recurrent_bias;
    if (cell == Cell::kRnn) return void(h = act(0, sum));
    const auto gates = sum.chunk(4, 1);
    std::vector<at::Tensor> peep;
    if (peephole.defined()) peep = peephole.chunk(3, 0);
    const auto peeped = [&](size_t gate, const at::Tensor& memory) {
      return peep.empty() ? gates[gate] : gates[gate] + peep[gate] * memory;
    };
    const at::Tensor input = act(0, peeped(0, c));
    const at::Tensor forget = coupled ? 1 - input : act(0, peeped(2, c));
    c = forget * c + input * act(1, gates[3]);
    h = act(0, peeped(1, c)) * activated(s, functions.at(2), c);
  }

  void step_gru(const at::Tensor& rows, at::Tensor& h) const {
    const auto gates = rows.chunk(3, 1), weights = recurrent.chunk(3, 1);
    std::vector<at::Tensor> bias;
    if (recurrent_bias.defined()) bias = recurrent_bias.chunk(3, 0);
    const auto product = [&](const at::Tensor& state, size_t gate) {
      const at::Tensor y = at::mm(state, weights[gate]);
      return bias.empty() ? y : y + bias[gate];
    };
    const at::Tensor update = act(0, gates[0] + product(h, 0)), reset = act(0, gates[1] + product(h, 1));
    const at::Tensor candidate =
        act(1, gates[2] + (reset_after_product ? reset * product(h, 2) : product(reset * h, 2)));
    h = (1 - update) * candidate + update * h;
  }
};

std::vector<std::string> function_names(Step& s, Cell cell, size_t directions) {
  const size_t used = cell == Cell::kGru ? 2 : cell == Cell::kLstm ? 3 : 1;
  std::vector<std::string> names;
  const auto it = s.node().attributes.find("activations");
  if (it != s.node().attributes.end()) names = std::get<std::vector<std::string>>(it->second);
  for (size_t i = names.size(); i < used * directions; ++i)
    names.push_back(i % used == 0 && cell != Cell::kRnn ? "Sigmoid" : "Tanh");
  return names;
}

void follow_recurrence(Step& s, Cell cell) {
  const graph::Node& node = s.node();
  const bool batch_first = node.integer("layout", 0) != 0;
  const std::string direction = node.text("direction", "forward");
  const at::Tensor x = batch_first ? s.input(0).transpose(0, 1) : s.input(0);  // [steps, batch, input]
  const int64_t steps = x.size(0), batch = x.size(1), hidden = s.input(2).size(2);
  const int64_t directions = direction == "bidirectional" ? 2 : 1, gates = s.input(1).size(1);
  const auto names = function_names(s, cell, static_cast<size_t>(directions));
  const auto used = names.size() / static_cast<size_t>(directions);
  at::Tensor lengths;
  if (s.has(4)) lengths = s.input(4).reshape({batch, 1});
  std::vector<at::Tensor> outputs, last_h, last_c;
  for (int64_t d = 0; d < directions; ++d) {
    const auto mine = [&](size_t i) { return s.has(i) ? s.input(i).select(0, d) : at::Tensor(); };
    const auto initial = [&](size_t i) {
      return s.has(i) ? s.input(i).select(batch_first ? 1 : 0, d) : at::zeros({batch, hidden});
    };
    const at::Tensor bias = mine(3);
    const auto first = names.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(d) * used);
    const Direction at_work{s,
                            cell,
                            {first, first + static_cast<std::ptrdiff_t>(used)},
                            mine(2).t(),
                            bias.defined() ? bias.narrow(0, gates, gates) : at::Tensor(),
                            cell == Cell::kLstm ? mine(7) : at::Tensor(),
                            s.number("clip", 0.0f),
                            node.integer("input_forget", 0) != 0,
                            node.integer("linear_before_reset", 0) != 0};
    at::Tensor rows = at::matmul(x, mine(1).t());
    if (bias.defined()) rows = rows + bias.narrow(0, 0, gates);
    at::Tensor h = initial(5), c = cell == Cell::kLstm ? initial(6) : at::Tensor();
    std::vector<at::Tensor> made(static_cast<size_t>(steps));
    const bool backwards = direction == "reverse" || d == 1;
    for (int64_t k = 0; k < steps; ++k) {
      const int64_t step = backwards ? steps - 1 - k : k;
      const at::Tensor h_before = h, c_before = c;
      at_work.step(rows.select(0, step), h, c);
      at::Tensor y = h;
      if (lengths.defined()) {
        // Past the end of its sequence a state stays and the output is 0.
        const at::Tensor inside = lengths > step;
        h = at::where(inside, h, h_before);
        if (c.defined()) c = at::where(inside, c, c_before);
        y = at::where(inside, h, at::zeros_like(h));
      }
      made[static_cast<size_t>(step)] = y;
    }
    outputs.push_back(at::stack(made, 0));
    last_h.push_back(h);
    last_c.push_back(c);
  }
  // [steps, directions, batch, hidden] or [batch, steps, directions, hidden]; states alike without steps.
  if (s.wants(0)) {
    const at::Tensor y = at::stack(outputs, 1);
    s.output(batch_first ? y.permute({2, 0, 1, 3}) : y);
  }
  if (s.wants(1)) s.output(at::stack(last_h, batch_first ? 1 : 0), 1);
  if (cell == Cell::kLstm && s.wants(2)) s.output(at::stack(last_c, batch_first ? 1 : 0), 2);
}

}  // namespace

void follow_rnn(Step& s) { follow_recurrence(s, Cell::kRnn); }
void follow_gru(Step& s) { follow_recurrence(s, Cell::kGru); }
void follow_lstm(Step& s) { follow_recurrence(s, Cell::kLstm); }

}  // namespace nibble::train
