// Attention of opset 23 and later: Y = softmax(Q K^T scale + bias) V, head by head. Q, K and V are
// [batch, heads, tokens, size] or [batch, tokens, heads * size]; several heads of Q may share one of K and V. Past keys
// and values come before the new ones. The bias is the mask (truth values, or numbers that are added; a short last
// dimension is filled up with what hides), the causal rule (query i sees keys up to i + offset), a window around i +
// offset, and the number of keys that are no padding. `offset` counts the keys before the queries: those of the past,
// or, with a number of keys that are no padding, these less the queries. A query that sees no key gives zeros. Every
// step is rounded to the type of the elements, as the operator's function body does it; sums of products are in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "ops/element_types.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

constexpr int64_t kFar = kMostElements;  // more than there are keys
constexpr size_t kMask = 3, kPastKey = 4, kPastValue = 5, kLengths = 6;

struct Sizes {
  int64_t batch, heads, kv_heads, queries, keys, past, size, v_size;
  bool tokens_first;
  int64_t total() const { return keys == kUnknown || past == kUnknown ? kUnknown : keys + past; }
};

bool fits(int64_t a, int64_t b) { return a == kUnknown || b == kUnknown || a == b; }

/// Heads, tokens and size of a head of input `i`.
struct Part {
  int64_t heads, tokens, size;
};
Part part_of(const InferContext& c, size_t i, const char* attribute) {
  const Shape& s = c.shape(i);
  if (s.size() == 4) return {s[1], s[2], s[3]};
  const int64_t heads = c.node().integer(attribute, 0);
  c.require(heads > 0 && (s[2] == kUnknown || s[2] % heads == 0),
            std::string(attribute) + " is " + std::to_string(heads) + ", which does not divide " + to_string(s));
  return {heads, s[1], s[2] == kUnknown ? kUnknown : s[2] / heads};
}

Sizes sizes_of(const InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    c.require(c.shape(i).size() == c.shape(0).size() && (c.shape(i).size() == 3 || c.shape(i).size() == 4),
              "its inputs have shapes " + to_string(c.shape(0)) + ", " + to_string(c.shape(1)) + " and " +
                  to_string(c.shape(2)) + ", three or four dimensions each were expected");
  const Part q = part_of(c, 0, "q_num_heads"), k = part_of(c, 1, "kv_num_heads"), v = part_of(c, 2, "kv_num_heads");
  Sizes s{c.shape(0)[0], q.heads, k.heads, q.tokens, k.tokens, 0, q.size, v.size, c.shape(0).size() == 3};
  c.require(fits(s.batch, c.shape(1)[0]) && fits(s.batch, c.shape(2)[0]) && fits(k.heads, v.heads) &&
                fits(k.tokens, v.tokens) && fits(q.size, k.size),
            "its inputs " + to_string(c.shape(0)) + ", " + to_string(c.shape(1)) + " and " + to_string(c.shape(2)) +
                " do not fit each other");
  c.require(q.heads == kUnknown || k.heads == kUnknown || (k.heads > 0 && q.heads % k.heads == 0),
            std::to_string(q.heads) + " heads cannot share " + std::to_string(k.heads));
  c.require(c.has(kPastKey) == c.has(kPastValue), "has a past of keys or of values alone");
  for (const size_t i : {kPastKey, kPastValue}) {
    if (!c.has(i)) continue;
    if (!c.shape_known(i)) {
      s.past = kUnknown;
      continue;
    }
    const Shape& p = c.shape(i);
    c.require(p.size() == 4 && fits(p[0], s.batch) && fits(p[1], s.kv_heads) &&
                  fits(p[3], i == kPastKey ? s.size : s.v_size) && (i == kPastKey || fits(p[2], s.past)),
              "its past " + to_string(p) + " does not fit");
    s.past = p[2];
  }
  return s;
}

void infer_attention(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its queries and keys have different element types");
  c.require(!(c.has(kLengths) && c.has(kPastKey)), "has a past and a number of keys that are no padding");
  for (const auto& [i, like] : {std::pair{kPastKey, size_t{1}}, std::pair{kPastValue, size_t{2}}})
    if (c.has(i)) c.require(c.dtype(i) == c.dtype(like), "its past has another element type");
  if (c.has(kLengths)) require_integers(c, kLengths);
  const int64_t mode = c.node().integer("qk_matmul_output_mode", 0);
  c.require(mode >= 0 && mode <= 3, "qk_matmul_output_mode is " + std::to_string(mode));
  for (const char* key : {"left_window_size", "right_window_size"})
    c.require(c.node().integer(key, -1) >= -1, std::string(key) + " is " + std::to_string(c.node().integer(key, -1)));
  const DType types[] = {c.dtype(0), c.dtype(1), c.dtype(2), c.dtype(0)};
  if (!c.shape_known(0) || !c.shape_known(1) || !c.shape_known(2)) {
    for (size_t i = 0; i < c.output_count(); ++i) c.output_of_unknown_rank(i, types[i]);
    return;
  }
  const Sizes s = sizes_of(c);
  const int64_t total = s.total();
  if (c.has(kMask) && c.shape_known(kMask)) {
    const Shape& m = c.shape(kMask);
    const int64_t wanted[] = {s.batch, s.heads, s.queries};
    c.require(!m.empty() && m.size() <= 4 && (m.back() == kUnknown || total == kUnknown || m.back() <= total),
              "its mask has shape " + to_string(m) + " for " + std::to_string(total) + " keys");
    for (size_t d = 0; d + 1 < m.size(); ++d)
      c.require(m[d] == 1 || fits(m[d], wanted[3 - (m.size() - 1) + d]), "its mask has shape " + to_string(m));
  }
  if (c.has(kLengths) && c.shape_known(kLengths))
    c.require(c.shape(kLengths).size() == 1 && fits(c.shape(kLengths)[0], s.batch),
              "its numbers of keys have shape " + to_string(c.shape(kLengths)));
  const int64_t hidden = s.heads == kUnknown || s.v_size == kUnknown ? kUnknown : s.heads * s.v_size;
  c.output(0, types[0],
           s.tokens_first ? Shape{s.batch, s.queries, hidden} : Shape{s.batch, s.heads, s.queries, s.v_size});
  if (c.output_count() > 1) c.output(1, types[1], {s.batch, s.kv_heads, total, s.size});
  if (c.output_count() > 2) c.output(2, types[2], {s.batch, s.kv_heads, total, s.v_size});
  if (c.output_count() > 3) c.output(3, types[3], {s.batch, s.heads, s.queries, total});
}

/// Keys or values of one head with the past before them, [total, size], in the type in which they are computed.
template <typename T>
std::vector<ComputeOf<T>> gathered(const RunContext& c, size_t now, size_t past, const Sizes& s, int64_t b,
                                   int64_t head, int64_t size) {
  std::vector<ComputeOf<T>> out;
  out.reserve(static_cast<size_t>(s.total() * size));
  if (c.has(past)) {
    const T* from = data_of<T>(c.input(past)) + (b * s.kv_heads + head) * s.past * size;
    for (int64_t i = 0; i < s.past * size; ++i) out.push_back(static_cast<ComputeOf<T>>(from[i]));
  }
  for (int64_t t = 0; t < s.keys; ++t) {
    const int64_t row = s.tokens_first ? (b * s.keys + t) * s.kv_heads + head : (b * s.kv_heads + head) * s.keys + t;
    const T* from = data_of<T>(c.input(now)) + row * size;
    for (int64_t i = 0; i < size; ++i) out.push_back(static_cast<ComputeOf<T>>(from[i]));
  }
  return out;
}

/// What is added to the scores of one head, [queries, total]: minus infinity hides a key.
class Bias {
 public:
  Bias(const RunContext& c, const Sizes& s) : c_(c), s_(s) {
    if (c.has(kMask)) {
      const Tensor& m = c.input(kMask);
      truth_ = m.dtype() == DType::boolean;
      if (!truth_) numbers_ = decode_numbers(m);
      shape_ = m.shape();
      width_ = shape_.back();
      shape_.insert(shape_.begin(), 4 - shape_.size(), 1);
    }
    if (c.has(kLengths)) lengths_ = integers_of(c.input(kLengths));
    // A file may hold any number; none beyond these bounds sees other keys, and sums stay far from 2^63.
    for (int64_t& n : lengths_) n = std::clamp<int64_t>(n, -kFar, kFar);
    causal_ = c.node().integer("is_causal", 0) != 0;
    left_ = std::min(c.node().integer("left_window_size", -1), 4 * kFar);
    right_ = std::min(c.node().integer("right_window_size", -1), 4 * kFar);
  }

  double at(int64_t b, int64_t head, int64_t query, int64_t key) const {
    constexpr double kHidden = -std::numeric_limits<double>::infinity();
    const int64_t offset = lengths_.empty() ? s_.past : lengths_[static_cast<size_t>(b)] - s_.queries;
    const int64_t place = query + offset;
    if (causal_ && key > place) return kHidden;
    if (left_ >= 0 && key < place - left_) return kHidden;
    if (right_ >= 0 && key - right_ > place) return kHidden;
    if (!lengths_.empty() && key >= lengths_[static_cast<size_t>(b)]) return kHidden;
    if (shape_.empty()) return 0;
    if (key >= width_ && width_ != 1) return kHidden;
    if (key >= width_ && s_.total() > 1) return kHidden;
    const auto one = [&](size_t d, int64_t i) { return shape_[d] == 1 ? 0 : i; };
    const int64_t index = ((one(0, b) * shape_[1] + one(1, head)) * shape_[2] + one(2, query)) * width_ + key;
    if (truth_) return data_of<uint8_t>(c_.input(kMask))[index] ? 0 : kHidden;
    return numbers_[static_cast<size_t>(index)];
  }

 private:
  const RunContext& c_;
  const Sizes& s_;
  bool truth_ = false, causal_ = false;
  int64_t left_ = -1, right_ = -1, width_ = 0;
  Shape shape_;
  std::vector<double> numbers_;
  std::vector<int64_t> lengths_;
};

/// A number as the type `T` holds it.
template <typename T>
double rounded(double v) {
  return static_cast<double>(static_cast<ComputeOf<T>>(static_cast<T>(static_cast<ComputeOf<T>>(v))));
}

template <typename T, typename V>
void run_head(const RunContext& c, const Sizes& s, const Bias& bias, int64_t b, int64_t head, int64_t precision) {
  const int64_t total = s.total(), kv_head = head / (s.heads / s.kv_heads);
  const auto keys = gathered<T>(c, 1, kPastKey, s, b, kv_head, s.size);
  const auto values = gathered<V>(c, 2, kPastValue, s, b, kv_head, s.v_size);
  const double given = c.node().has("scale") ? c.node().real("scale", 1) : 1 / std::sqrt(static_cast<double>(s.size));
  const double scale = rounded<T>(std::sqrt(given)), softcap = c.node().real("softcap", 0);
  const int64_t mode = c.node().integer("qk_matmul_output_mode", 0);
  std::vector<double> scores(static_cast<size_t>(total)), query(static_cast<size_t>(s.size));
  std::vector<double> sums(static_cast<size_t>(s.v_size));
  // The softmax is in the type that `softmax_precision` names, else in that of the elements, step by step.
  const auto softmax_rounded = [&](double v) {
    if (precision == 1) return rounded<float>(v);
    if (precision == 10) return rounded<Half>(v);
    if (precision == 16) return rounded<BFloat>(v);
    return precision == 11 ? v : rounded<T>(v);
  };
  for (int64_t i = 0; i < s.queries; ++i) {
    const int64_t row = s.tokens_first ? (b * s.queries + i) * s.heads + head : (b * s.heads + head) * s.queries + i;
    const T* q = data_of<T>(c.input(0)) + row * s.size;
    for (int64_t d = 0; d < s.size; ++d)
      query[static_cast<size_t>(d)] = rounded<T>(static_cast<double>(static_cast<ComputeOf<T>>(q[d])) * scale);
    const auto show = [&](int64_t k, double v) {
      if (c.wants(3))
        mutable_data_of<T>(c.output(3))[((b * s.heads + head) * s.queries + i) * total + k] =
            static_cast<T>(static_cast<ComputeOf<T>>(v));
    };
    double largest = -std::numeric_limits<double>::infinity();
    bool sees = false;
    for (int64_t k = 0; k < total; ++k) {
      double sum = 0;
      for (int64_t d = 0; d < s.size; ++d)
        sum += query[static_cast<size_t>(d)] *
               rounded<T>(static_cast<double>(keys[static_cast<size_t>(k * s.size + d)]) * scale);
      double score = rounded<T>(sum);
      if (mode == 0 && softcap == 0) show(k, score);
      if (softcap > 0) score = rounded<T>(softcap * std::tanh(score / softcap));
      if (mode == 1 || (mode == 0 && softcap != 0)) show(k, score);
      const double added = bias.at(b, head, i, k);
      const bool hidden = std::isinf(added) && added < 0;
      sees = sees || !hidden;
      score = hidden ? added : rounded<T>(score + added);
      if (mode == 2) show(k, score);
      scores[static_cast<size_t>(k)] = score;
      largest = std::max(largest, score);
    }
    double all = 0;
    for (double& v : scores) {
      v = sees ? softmax_rounded(std::exp(softmax_rounded(v - largest))) : 0;
      // The reference adds bfloat16 step by step and float16 in float32; its tests are closer than either rounding.
      all = precision == 16 || (precision == 0 && std::is_same_v<T, BFloat>) ? softmax_rounded(all + v) : all + v;
    }
    all = softmax_rounded(all);
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t k = 0; k < total; ++k) {
      const double p = rounded<T>(softmax_rounded(all > 0 ? scores[static_cast<size_t>(k)] / all : 0));
      if (mode == 3) show(k, p);
      if (p == 0) continue;  // a hidden key's value may be anything
      for (int64_t d = 0; d < s.v_size; ++d)
        sums[static_cast<size_t>(d)] += p * static_cast<double>(values[static_cast<size_t>(k * s.v_size + d)]);
    }
    T* y = mutable_data_of<T>(c.output(0)) + row * s.v_size;
    for (int64_t d = 0; d < s.v_size; ++d)
      y[d] = static_cast<T>(static_cast<ComputeOf<T>>(sums[static_cast<size_t>(d)]));
  }
}

/// The past and the new keys or values, one behind the other.
template <typename T>
void write_present(const RunContext& c, size_t output, size_t now, size_t past, const Sizes& s, int64_t size) {
  if (!c.wants(output)) return;
  T* to = mutable_data_of<T>(c.output(output));
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.kv_heads; ++h)
      for (const auto v : gathered<T>(c, now, past, s, b, h, size)) *to++ = static_cast<T>(v);
}

void run_attention(RunContext& c) {
  const auto facts = facts_of(c);
  OutputFacts ignored;
  const InferContext shapes(c.node(), facts, {&ignored, 1});
  const Sizes s = sizes_of(shapes);
  if (c.has(kMask) && c.input(kMask).dtype() != DType::boolean && c.input(kMask).dtype() != c.input(0).dtype())
    c.unsupported_type(kMask);
  const int64_t precision = c.node().integer("softmax_precision", 0);
  if (precision != 0 && precision != 1 && precision != 10 && precision != 11 && precision != 16)
    c.malformed("softmax_precision is " + std::to_string(precision));
  const Bias bias(c, s);
  bool done = false;
  visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    visit_float(c.input(2).dtype(), [&](auto v) {
      using V = decltype(v);
      done = true;
      write_present<T>(c, 1, 1, kPastKey, s, s.size);
      write_present<V>(c, 2, 2, kPastValue, s, s.v_size);
      c.pool().for_each(s.batch * s.heads,
                        [&](int64_t i, int) { run_head<T, V>(c, s, bias, i / s.heads, i % s.heads, precision); });
    });
  });
  if (!done) c.unsupported_type();
}

}  // namespace

const Operator& attention() {
  static const Operator op{"Attention", "", 3, 7, 4, infer_attention, run_attention, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
