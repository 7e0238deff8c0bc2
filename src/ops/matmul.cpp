// MatMul (numpy semantics) and Gemm.
#include "ops/matmul.h"

#include <algorithm>

#include "ops/broadcast.h"
#include "ops/element_types.h"
#include "ops/gemm.h"

namespace nibble::ops {

MatmulShape read_matmul(const InferContext& c, Shape a, Shape b) {
  c.require(!a.empty() && !b.empty(), "a scalar cannot be multiplied as a matrix");
  MatmulShape m;
  const bool a_vector = a.size() == 1, b_vector = b.size() == 1;
  if (a_vector) a.insert(a.begin(), 1);
  if (b_vector) b.push_back(1);
  m.rows = a[a.size() - 2];
  m.inner = a.back();
  m.columns = b.back();
  const int64_t inner_b = b[b.size() - 2];
  c.require(m.inner == inner_b || m.inner == kUnknown || inner_b == kUnknown,
            "shapes " + to_string(a) + " and " + to_string(b) + " cannot be multiplied");
  m.a_batch.assign(a.begin(), a.end() - 2);
  m.b_batch.assign(b.begin(), b.end() - 2);
  m.batch = broadcast_shape(c, m.a_batch, m.b_batch);
  m.out = m.batch;
  if (!a_vector) m.out.push_back(m.rows);
  if (!b_vector) m.out.push_back(m.columns);
  return m;
}

namespace {

void infer_matmul(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its two inputs have different element types");
  if (c.shape_known(0) && c.shape_known(1))
    c.output(0, c.dtype(0), read_matmul(c, c.shape(0), c.shape(1)).out);
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}

/// The product in plain loops for types that oneDNN does not take; sums in double for floats, wrapping for integers.
template <typename T>
void plain_product(const T* a, const T* b, T* y, int64_t rows, int64_t inner, int64_t columns) {
  using Sum = std::conditional_t<is_float<T>, double, uint64_t>;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k) {
      Sum sum{};
      for (int64_t i = 0; i < inner; ++i)
        sum += static_cast<Sum>(static_cast<ComputeOf<T>>(a[r * inner + i])) *
               static_cast<Sum>(static_cast<ComputeOf<T>>(b[i * columns + k]));
      y[r * columns + k] = static_cast<T>(sum);
    }
}

void run_matmul(RunContext& c) {
  std::array<InputFacts, 2> facts{};
  for (size_t i = 0; i < 2; ++i) facts[i] = {true, c.input(i).dtype(), true, c.input(i).shape(), nullptr};
  const InferContext infer(c.node(), facts, {});
  const MatmulShape m = read_matmul(infer, c.input(0).shape(), c.input(1).shape());
  const BroadcastPlan plan = plan_broadcast(m.batch, m.a_batch, m.b_batch);
  const int64_t products = element_count(m.batch);
  // A weight shared by the whole batch makes one tall product.
  const bool tall = element_count(m.b_batch) == 1;
  const auto each = [&](auto&& multiply) {
    for (int64_t p = 0; p < products; ++p) {
      int64_t rest = p, a_at = 0, b_at = 0;
      for (size_t d = plan.shape.size(); d-- > 0;) {
        a_at += rest % plan.shape[d] * plan.a_strides[d];
        b_at += rest % plan.shape[d] * plan.b_strides[d];
        rest /= plan.shape[d];
      }
      multiply(a_at * m.rows * m.inner, b_at * m.inner * m.columns, p * m.rows * m.columns);
    }
  };
  if (c.input(0).dtype() == DType::f32) {
    const float* a = data_of<float>(c.input(0));
    const float* b = data_of<float>(c.input(1));
    float* y = mutable_data_of<float>(c.output(0));
    if (m.inner == 0) return void(std::fill_n(y, c.output(0).elements(), 0.0f));
    if (tall && element_count(m.a_batch) == products)
      return gemm(false, false, products * m.rows, m.columns, m.inner, 1.0f, a, m.inner, b, m.columns, 0.0f, y,
                  m.columns, c.pool());
    return each([&](int64_t a_at, int64_t b_at, int64_t y_at) {
      gemm(false, false, m.rows, m.columns, m.inner, 1.0f, a + a_at, m.inner, b + b_at, m.columns, 0.0f, y + y_at,
           m.columns, c.pool());
    });
  }
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    each([&](int64_t a_at, int64_t b_at, int64_t y_at) {
      plain_product(data_of<T>(c.input(0)) + a_at, data_of<T>(c.input(1)) + b_at,
                    mutable_data_of<T>(c.output(0)) + y_at, m.rows, m.inner, m.columns);
    });
  });
  if (!done) c.unsupported_type();
}

struct GemmShape {
  bool transpose_a, transpose_b;
  int64_t rows, columns, inner;
};

GemmShape read_gemm(const Node& node, const Shape& a, const Shape& b) {
  const bool ta = node.integer("transA", 0) != 0, tb = node.integer("transB", 0) != 0;
  if (a.size() != 2 || b.size() != 2)
    base::fail_malformed(node.describe(), "its inputs " + to_string(a) + " and " + to_string(b) + " must be matrices");
  const int64_t inner_b = b[tb ? 1 : 0];
  GemmShape g{ta, tb, a[ta ? 1 : 0], b[tb ? 0 : 1], a[ta ? 0 : 1]};
  if (g.inner == kUnknown) g.inner = inner_b;
  if (inner_b != kUnknown && inner_b != g.inner)
    base::fail_malformed(node.describe(), "shapes " + to_string(a) + " and " + to_string(b) + " cannot be multiplied");
  return g;
}

void infer_gemm(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its two inputs have different element types");
  if (!c.shape_known(0) || !c.shape_known(1)) return c.output(0, c.dtype(0), {kUnknown, kUnknown});
  const GemmShape g = read_gemm(c.node(), c.shape(0), c.shape(1));
  if (c.has(2) && c.shape_known(2)) {
    c.require(c.dtype(2) == c.dtype(0), "its addend has another element type");
    const Shape sum = broadcast_shape(c, {g.rows, g.columns}, c.shape(2));
    c.require(
        sum.size() == 2 && (sum[0] == g.rows || g.rows == kUnknown) && (sum[1] == g.columns || g.columns == kUnknown),
        "its addend " + to_string(c.shape(2)) + " does not broadcast to the product");
  }
  c.output(0, c.dtype(0), {g.rows, g.columns});
}

void run_gemm(RunContext& c) {
  const GemmShape g = read_gemm(c.node(), c.input(0).shape(), c.input(1).shape());
  const float alpha = c.node().real("alpha", 1.0f), beta = c.node().real("beta", 1.0f);
  const auto fill_addend = [&](auto t) {
    using T = decltype(t);
    T* y = mutable_data_of<T>(c.output(0));
    if (!c.has(2)) return void(std::fill_n(y, c.output(0).elements(), T{}));
    const T* addend = data_of<T>(c.input(2));
    const BroadcastPlan plan = plan_broadcast(c.output(0).shape(), c.output(0).shape(), c.input(2).shape());
    for (int64_t i = 0; i < c.output(0).elements(); ++i) {
      int64_t rest = i, at = 0;
      for (size_t d = plan.shape.size(); d-- > 0; rest /= plan.shape[d]) at += rest % plan.shape[d] * plan.b_strides[d];
      y[i] = addend[at];
    }
  };
  if (c.input(0).dtype() == DType::f32) {
    fill_addend(float{});
    float* y = mutable_data_of<float>(c.output(0));
    const float kept = c.has(2) ? beta : 0.0f;
    if (g.inner == 0 || c.output(0).elements() == 0) {
      for (int64_t i = 0; i < c.output(0).elements(); ++i) y[i] *= kept;
      return;
    }
    return gemm(g.transpose_a, g.transpose_b, g.rows, g.columns, g.inner, alpha, data_of<float>(c.input(0)),
                c.input(0).shape()[1], data_of<float>(c.input(1)), c.input(1).shape()[1], kept, y, g.columns, c.pool());
  }
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    fill_addend(t);
    const T* a = data_of<T>(c.input(0));
    const T* b = data_of<T>(c.input(1));
    T* y = mutable_data_of<T>(c.output(0));
    for (int64_t r = 0; r < g.rows; ++r)
      for (int64_t k = 0; k < g.columns; ++k) {
        double sum = 0;
        for (int64_t i = 0; i < g.inner; ++i)
          sum += static_cast<double>(a[g.transpose_a ? i * g.rows + r : r * g.inner + i]) *
                 static_cast<double>(b[g.transpose_b ? k * g.inner + i : i * g.columns + k]);
        y[r * g.columns + k] =
            static_cast<T>(alpha * sum + (c.has(2) ? beta * static_cast<double>(y[r * g.columns + k]) : 0));
      }
  });
  if (!done) c.unsupported_type();
}

}  // namespace

const Operator& matmul() {
  static const Operator op{"MatMul", "", 2, 2, 1, infer_matmul, run_matmul, Layout::kFixed, false};
  return op;
}
const Operator& gemm_op() {
  static const Operator op{"Gemm", "", 2, 3, 1, infer_gemm, run_gemm, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
