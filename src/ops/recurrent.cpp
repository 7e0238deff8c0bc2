// RNN, GRU and LSTM. The products of all inputs with W are one matrix product a direction; the products with R go step
// by step. Formulas and the order of the gates: the ONNX operator specifications (LSTM i, o, f, c; GRU z, r, h).
#include <algorithm>
#include <cmath>
#include <functional>

#include "ops/element_types.h"
#include "ops/gemm.h"

namespace nibble::ops {
namespace {

using Function = std::function<float(float)>;

/// The activations of a cell by name. Names are those of the specification.
Function find_function(const Node& node, const std::string& name, float alpha, float beta) {
  if (name == "Sigmoid") return [](float x) { return 1 / (1 + std::exp(-x)); };
  if (name == "Tanh") return [](float x) { return std::tanh(x); };
  if (name == "Relu") return [](float x) { return std::max(x, 0.0f); };
  if (name == "Affine") return [=](float x) { return alpha * x + beta; };
  if (name == "LeakyRelu") return [=](float x) { return x < 0 ? alpha * x : x; };
  if (name == "ThresholdedRelu") return [=](float x) { return x > alpha ? x : 0.0f; };
  if (name == "ScaledTanh") return [=](float x) { return alpha * std::tanh(beta * x); };
  if (name == "HardSigmoid") return [=](float x) { return std::clamp(alpha * x + beta, 0.0f, 1.0f); };
  if (name == "Elu") return [=](float x) { return x < 0 ? alpha * std::expm1(x) : x; };
  if (name == "Softsign") return [](float x) { return x / (1 + std::fabs(x)); };
  if (name == "Softplus") return [](float x) { return std::max(x, 0.0f) + std::log1p(std::exp(-std::fabs(x))); };
  base::fail_unsupported(node.describe(), "its activation " + base::in_quotes(name) + " is not supported");
}

/// alpha and beta where the attributes do not list them.
std::pair<float, float> default_parameters(const std::string& name) {
  if (name == "LeakyRelu") return {0.01f, 0.0f};
  if (name == "HardSigmoid") return {0.2f, 0.5f};
  return {1.0f, name == "ScaledTanh" ? 1.0f : 0.0f};
}

enum class Cell : uint8_t { kRnn, kGru, kLstm };

constexpr int64_t gates_of(Cell cell) { return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1; }

/// What is fixed about a recurrent node once its shapes are known. Sizes may be kUnknown while shapes are inferred.
struct Recurrence {
  Cell cell = Cell::kRnn;
  bool batch_first = false;
  int64_t directions = 1, steps = 0, batch = 0, input = 0, hidden = 0;
  std::string direction;
};

Recurrence read_recurrence(const InferContext& c, Cell cell) {
  Recurrence r;
  r.cell = cell;
  r.batch_first = c.node().integer("layout", 0) != 0;
  r.direction = c.node().text("direction", "forward");
  c.require(r.direction == "forward" || r.direction == "reverse" || r.direction == "bidirectional",
            "direction is " + base::in_quotes(r.direction));
  r.directions = r.direction == "bidirectional" ? 2 : 1;
  r.steps = r.batch = r.input = r.hidden = kUnknown;
  const auto settle = [&](int64_t& size, int64_t found, const char* what) {
    if (found == kUnknown) return;
    c.require(size == kUnknown || size == found, std::string("its inputs disagree on ") + what + ": " +
                                                     std::to_string(size) + " and " + std::to_string(found));
    size = found;
  };
  const auto gates = [&](size_t i, size_t dimension, int64_t times) {
    if (!c.has(i) || !c.shape_known(i) || c.shape(i).size() <= dimension || c.shape(i)[dimension] == kUnknown) return;
    const int64_t size = c.shape(i)[dimension];
    c.require(size % times == 0 && size / times > 0, "its input " + std::to_string(i) + " has shape " +
                                                         to_string(c.shape(i)) + ", which does not fit its gates");
    settle(r.hidden, size / times, "the hidden size");
  };
  if (c.node().has("hidden_size")) {
    const int64_t size = c.node().integer("hidden_size", 0);
    c.require(size > 0 && size <= kMostElements, "hidden_size is " + std::to_string(size));
    r.hidden = size;
  }
  const size_t ranks[] = {3, 3, 3, 2, 1, 3, 3, 2};
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has(i)) continue;
    c.require(i == 4 || c.dtype(i) == c.dtype(0), "its inputs have different element types");
    if (!c.shape_known(i)) continue;
    c.require(c.shape(i).size() == ranks[i], "its input " + std::to_string(i) + " has shape " + to_string(c.shape(i)) +
                                                 ", " + std::to_string(ranks[i]) + " dimensions were expected");
    const bool state = i == 5 || i == 6;
    const size_t directions_at = state && r.batch_first ? 1 : 0;
    if (i != 0 && i != 4)
      c.require(c.shape(i)[directions_at] == r.directions || c.shape(i)[directions_at] == kUnknown,
                "its input " + std::to_string(i) + " has shape " + to_string(c.shape(i)) + ", " +
                    std::to_string(r.directions) + " directions were expected");
    if (i == 4) settle(r.batch, c.shape(i)[0], "the batch");
    if (state) settle(r.batch, c.shape(i)[r.batch_first ? 0 : 1], "the batch");
  }
  const int64_t n = gates_of(cell);
  if (c.shape_known(0)) {
    settle(r.steps, c.shape(0)[r.batch_first ? 1 : 0], "the number of steps");
    settle(r.batch, c.shape(0)[r.batch_first ? 0 : 1], "the batch");
    settle(r.input, c.shape(0)[2], "the input size");
  }
  if (c.shape_known(1)) settle(r.input, c.shape(1)[2], "the input size");
  gates(1, 1, n);
  gates(2, 1, n);
  gates(2, 2, 1);
  gates(3, 1, 2 * n);
  gates(5, 2, 1);
  if (cell == Cell::kLstm) {
    gates(6, 2, 1);
    gates(7, 1, 3);
  }
  return r;
}

void infer_recurrence(InferContext& c, Cell cell) {
  const Recurrence r = read_recurrence(c, cell);
  if (c.has(4)) c.require(c.dtype(4) == DType::i32, "its sequence lengths must be 32-bit integers");
  const DType dtype = c.dtype(0);
  if (r.batch_first) {
    c.output(0, dtype, {r.batch, r.steps, r.directions, r.hidden});
    for (size_t i = 1; i < 3; ++i) c.output(i, dtype, {r.batch, r.directions, r.hidden});
  } else {
    c.output(0, dtype, {r.steps, r.directions, r.batch, r.hidden});
    for (size_t i = 1; i < 3; ++i) c.output(i, dtype, {r.directions, r.batch, r.hidden});
  }
}
void infer_rnn(InferContext& c) { infer_recurrence(c, Cell::kRnn); }
void infer_gru(InferContext& c) { infer_recurrence(c, Cell::kGru); }
void infer_lstm(InferContext& c) { infer_recurrence(c, Cell::kLstm); }

/// One direction at work: everything that its steps read. Rows are [gates * hidden] numbers, one a sequence of the
/// batch.
struct Direction {
  const Recurrence& r;
  base::ThreadPool& pool;
  const float *weight, *recurrent, *bias,
      *peephole;  ///< W, R [gates * hidden, ...], B [2 * gates * hidden], P or nullptr
  std::array<Function, 3> functions;
  float clip = 0;
  bool coupled = false;               ///< LSTM: the forget gate is 1 - input gate
  bool reset_after_product = false;   ///< GRU: linear_before_reset
  std::vector<float> reset, product;  ///< GRU: [batch, hidden] each

  int64_t width() const { return gates_of(r.cell) * r.hidden; }
  float clipped(float x) const { return clip > 0 ? std::clamp(x, -clip, clip) : x; }

  /// rows = x W^T + biases for `count` steps. The recurrent bias of a GRU's candidate stays out where it is reset too.
  void multiply_inputs(const float* x, int64_t count, std::vector<float>& rows) {
    const int64_t n = width();
    std::vector<float> sums(static_cast<size_t>(n), 0.0f);
    const int64_t both = reset_after_product ? 2 * r.hidden : n;
    for (int64_t k = 0; bias && k < n; ++k) sums[static_cast<size_t>(k)] = bias[k] + (k < both ? bias[n + k] : 0.0f);
    for (int64_t row = 0; row < count * r.batch; ++row) std::copy(sums.begin(), sums.end(), rows.data() + row * n);
    if (r.input > 0)
      gemm(false, true, count * r.batch, n, r.input, 1.0f, x, r.input, weight, r.input, 1.0f, rows.data(), n, pool);
  }

  /// out [batch, count * hidden], a row every `stride` numbers, = beta * out + h R^T of `count` gates from `gate` on.
  void multiply_state(const float* h, int64_t gate, int64_t count, float beta, float* out, int64_t stride) {
    gemm(false, true, r.batch, count * r.hidden, r.hidden, 1.0f, h, r.hidden, recurrent + gate * r.hidden * r.hidden,
         r.hidden, beta, out, stride, pool);
  }

  /// One step from its rows, which are used up; h and c [batch, hidden] are replaced.
  void step(float* rows, std::vector<float>& h, std::vector<float>& c) {
    if (r.cell == Cell::kGru) return step_gru(rows, h);
    const int64_t size = r.hidden, n = width();
    multiply_state(h.data(), 0, gates_of(r.cell), 1.0f, rows, n);
    for (int64_t b = 0; b < r.batch; ++b)
      for (int64_t k = 0; k < size; ++k) {
        const float* sum = rows + b * n + k;
        float& hidden = h[static_cast<size_t>(b * size + k)];
        if (r.cell == Cell::kRnn) {
          hidden = functions[0](clipped(sum[0]));
          continue;
        }
        float& memory = c[static_cast<size_t>(b * size + k)];
        const auto peep = [&](int64_t gate) { return peephole ? peephole[gate * size + k] * memory : 0.0f; };
        const float input = functions[0](clipped(sum[0] + peep(0)));
        const float forget = coupled ? 1 - input : functions[0](clipped(sum[2 * size] + peep(2)));
        memory = forget * memory + input * functions[1](clipped(sum[3 * size]));
        hidden = functions[0](clipped(sum[size] + peep(1))) * functions[2](memory);
      }
  }

  void step_gru(float* rows, std::vector<float>& h) {
    const int64_t size = r.hidden, n = width();
    multiply_state(h.data(), 0, 2, 1.0f, rows, n);
    for (int64_t b = 0; b < r.batch; ++b)
      for (int64_t k = 0; k < size; ++k)
        reset[static_cast<size_t>(b * size + k)] = functions[0](clipped(rows[b * n + size + k]));
    if (reset_after_product) {
      multiply_state(h.data(), 2, 1, 0.0f, product.data(), size);
      for (int64_t i = 0; i < r.batch * size; ++i)
        rows[i / size * n + 2 * size + i % size] +=
            reset[static_cast<size_t>(i)] *
            (product[static_cast<size_t>(i)] + (bias ? bias[n + 2 * size + i % size] : 0.0f));
    } else {
      for (size_t i = 0; i < reset.size(); ++i) reset[i] *= h[i];
      multiply_state(reset.data(), 2, 1, 1.0f, rows + 2 * size, n);
    }
    for (int64_t b = 0; b < r.batch; ++b)
      for (int64_t k = 0; k < size; ++k) {
        const float* sum = rows + b * n + k;
        float& hidden = h[static_cast<size_t>(b * size + k)];
        const float update = functions[0](clipped(sum[0]));
        hidden = (1 - update) * functions[1](clipped(sum[2 * size])) + update * hidden;
      }
  }
};

/// [batch, steps, n] -> [steps, batch, n].
std::vector<float> steps_first(const float* x, int64_t batch, int64_t steps, int64_t n) {
  std::vector<float> out(static_cast<size_t>(batch * steps * n));
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t s = 0; s < steps; ++s) std::copy_n(x + (b * steps + s) * n, n, out.data() + (s * batch + b) * n);
  return out;
}

void run_recurrence(RunContext& c, Cell cell) {
  if (c.input(0).dtype() != DType::f32) c.unsupported("takes only 32-bit floats");
  const auto facts = facts_of(c);
  const Recurrence r = read_recurrence(InferContext(c.node(), facts, {}), cell);
  const int64_t gates = gates_of(cell), width = gates * r.hidden,
                used = cell == Cell::kGru    ? 2
                       : cell == Cell::kLstm ? 3
                                             : 1;
  auto names = std::vector<std::string>{};
  if (const auto it = c.node().attributes.find("activations"); it != c.node().attributes.end()) {
    const auto* list = std::get_if<std::vector<std::string>>(&it->second);
    if (!list || static_cast<int64_t>(list->size()) != used * r.directions)
      c.malformed("activations must be " + std::to_string(used) + " names a direction");
    names = *list;
  }
  const auto alphas = c.node().reals("activation_alpha"), betas = c.node().reals("activation_beta");
  const float* x = data_of<float>(c.input(0));
  std::vector<float> reordered;
  if (r.batch_first) {
    reordered = steps_first(x, r.batch, r.steps, r.input);
    x = reordered.data();
  }
  const int64_t state = r.batch * r.hidden;
  // The products of every step with W, a piece of the steps at a time.
  constexpr int64_t kPiece = int64_t{1} << 20;
  const int64_t at_once =
      std::clamp<int64_t>(kPiece / std::max<int64_t>(1, r.batch * width), 1, std::max<int64_t>(1, r.steps));
  std::vector<float> inputs(static_cast<size_t>(at_once * r.batch * width));
  for (int64_t d = 0; d < r.directions; ++d) {
    Direction direction{r,
                        c.pool(),
                        data_of<float>(c.input(1)) + d * width * r.input,
                        data_of<float>(c.input(2)) + d * width * r.hidden,
                        c.has(3) ? data_of<float>(c.input(3)) + d * 2 * width : nullptr,
                        c.has(7) ? data_of<float>(c.input(7)) + d * 3 * r.hidden : nullptr,
                        {},
                        c.node().real("clip", 0.0f),
                        c.node().integer("input_forget", 0) != 0,
                        cell == Cell::kGru && c.node().integer("linear_before_reset", 0) != 0,
                        std::vector<float>(cell == Cell::kGru ? static_cast<size_t>(state) : 0),
                        std::vector<float>(cell == Cell::kGru ? static_cast<size_t>(state) : 0)};
    for (int64_t f = 0; f < used; ++f) {
      const auto i = static_cast<size_t>(d * used + f);
      const std::string name = !names.empty() ? names[i] : f == 0 && cell != Cell::kRnn ? "Sigmoid" : "Tanh";
      const auto [alpha, beta] = default_parameters(name);
      direction.functions[static_cast<size_t>(f)] =
          find_function(c.node(), name, i < alphas.size() ? alphas[i] : alpha, i < betas.size() ? betas[i] : beta);
    }
    std::vector<float> h(static_cast<size_t>(state), 0.0f), memory(cell == Cell::kLstm ? h.size() : 0, 0.0f);
    const auto initial = [&](size_t input, std::vector<float>& target) {
      if (!c.has(input)) return;
      const float* from = data_of<float>(c.input(input));
      for (int64_t b = 0; b < r.batch; ++b)
        std::copy_n(from + (r.batch_first ? b * r.directions + d : d * r.batch + b) * r.hidden, r.hidden,
                    target.data() + b * r.hidden);
    };
    initial(5, h);
    if (cell == Cell::kLstm) initial(6, memory);
    std::vector<int64_t> lengths(static_cast<size_t>(r.batch), r.steps);
    if (c.has(4))
      for (int64_t b = 0; b < r.batch; ++b) {
        const int64_t length = c.input(4).values<int32_t>()[static_cast<size_t>(b)];
        if (length < 0 || length > r.steps)
          c.malformed("a sequence has the length " + std::to_string(length) + " of " + std::to_string(r.steps) +
                      " steps");
        lengths[static_cast<size_t>(b)] = length;
      }
    const bool backwards = r.direction == "reverse" || d == 1;
    std::vector<float> h_before, memory_before;
    for (int64_t done = 0; done < r.steps; done += at_once) {
      const int64_t count = std::min(at_once, r.steps - done);
      const int64_t first = backwards ? r.steps - done - count : done;
      direction.multiply_inputs(x + first * r.batch * r.input, count, inputs);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t place = backwards ? count - 1 - k : k, step = first + place;
        if (c.has(4)) h_before = h, memory_before = memory;
        direction.step(inputs.data() + place * r.batch * width, h, memory);
        for (int64_t b = 0; b < r.batch; ++b) {
          const bool inside = step < lengths[static_cast<size_t>(b)];
          if (!inside) {  // past the end of its sequence a state stays and the output is 0
            std::copy_n(h_before.data() + b * r.hidden, r.hidden, h.data() + b * r.hidden);
            if (!memory.empty())
              std::copy_n(memory_before.data() + b * r.hidden, r.hidden, memory.data() + b * r.hidden);
          }
          if (!c.wants(0)) continue;
          float* y = mutable_data_of<float>(c.output(0)) + (r.batch_first ? ((b * r.steps + step) * r.directions + d)
                                                                          : ((step * r.directions + d) * r.batch + b)) *
                                                               r.hidden;
          if (inside)
            std::copy_n(h.data() + b * r.hidden, r.hidden, y);
          else
            std::fill_n(y, r.hidden, 0.0f);
        }
      }
    }
    const auto last = [&](size_t output, const std::vector<float>& from) {
      if (!c.wants(output)) return;
      float* y = mutable_data_of<float>(c.output(output));
      for (int64_t b = 0; b < r.batch; ++b)
        std::copy_n(from.data() + b * r.hidden, r.hidden,
                    y + (r.batch_first ? b * r.directions + d : d * r.batch + b) * r.hidden);
    };
    last(1, h);
    if (cell == Cell::kLstm) last(2, memory);
  }
}
void run_rnn(RunContext& c) { run_recurrence(c, Cell::kRnn); }
void run_gru(RunContext& c) { run_recurrence(c, Cell::kGru); }
void run_lstm(RunContext& c) { run_recurrence(c, Cell::kLstm); }

}  // namespace

const Operator& rnn() {
  static const Operator op{"RNN", "", 3, 6, 2, infer_rnn, run_rnn, Layout::kFixed, false};
  return op;
}
const Operator& gru() {
  static const Operator op{"GRU", "", 3, 6, 2, infer_gru, run_gru, Layout::kFixed, false};
  return op;
}
const Operator& lstm() {
  static const Operator op{"LSTM", "", 3, 8, 3, infer_lstm, run_lstm, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
