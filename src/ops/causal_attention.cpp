// Attention of language models over tokens of several sequences in one run.
//   nibble.RotatePairs: rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864, eq. 34). X [T,
//   heads * head_size], positions [T], frequencies f32 [P]; pair i of a head is turned by position * frequency[i]; its
//   elements are 2i and 2i + 1 where `interleaved`, else i and i + P. Elements past 2P stay. `magnitude` multiplies
//   what is turned. nibble.CausalAttention: Q [T, heads * size], K, V [T, kv_heads * size], positions [T], sequences
//   [T] -> [T, heads * size]. A token sees the tokens of its sequence at its own and earlier positions (the last
//   `window` of them where that is not 0): those of this run, and those that the cache holds. Positions of a sequence
//   follow each other without gaps.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/element_types.h"
#include "ops/kv_cache.h"
#include "ops/onednn.h"

namespace nibble::ops {
namespace {

constexpr int64_t kTile = 64;  // tokens of a sequence whose scores are one product

int64_t positive(const Node& node, const std::string& key) {
  const int64_t value = node.integer(key, 0);
  if (value < 1) base::fail_malformed(node.describe(), key + " is " + std::to_string(value));
  return value;
}

void require_tokens(const InferContext& c, size_t i) {
  c.require(c.dtype(i) == DType::f32, "its input " + std::to_string(i) + " must hold 32-bit floats");
  c.require(!c.shape_known(i) || c.shape(i).size() == 2, "its input " + std::to_string(i) + " has shape " +
                                                             to_string(c.shape(i)) + ", [tokens, width] was expected");
}

void infer_rotate(InferContext& c) {
  require_tokens(c, 0);
  require_integers(c, 1);
  c.require(c.dtype(2) == DType::f32, "its frequencies must hold 32-bit floats");
  const int64_t size = positive(c.node(), "head_size");
  if (c.shape_known(2))
    c.require(c.shape(2).size() == 1 && (c.shape(2)[0] == kUnknown || 2 * c.shape(2)[0] <= size),
              "has frequencies of shape " + to_string(c.shape(2)) + " for heads of " + std::to_string(size));
  if (c.shape_known(0))
    c.require(c.shape(0)[1] == kUnknown || c.shape(0)[1] % size == 0, "head_size does not divide its input's width");
  infer_same(c);
}

void run_rotate(RunContext& c) {
  const int64_t tokens = c.input(0).shape()[0], width = c.input(0).shape()[1];
  const int64_t size = positive(c.node(), "head_size"), pairs = c.input(2).elements();
  const bool interleaved = c.node().integer("interleaved", 0) != 0;
  const float magnitude = c.node().real("magnitude", 1.0f);
  const std::vector<int64_t> positions = integers_of(c.input(1));
  if (static_cast<int64_t>(positions.size()) != tokens) c.malformed("has another number of positions than tokens");
  const float* frequencies = data_of<float>(c.input(2));
  const int64_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : pairs;
  for_ranges(c.pool(), tokens, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
             [&](int64_t begin, int64_t end) {
               std::vector<float> turn(static_cast<size_t>(2 * pairs));
               for (int64_t t = begin; t < end; ++t) {
                 const auto position = static_cast<float>(positions[static_cast<size_t>(t)]);
                 for (int64_t i = 0; i < pairs; ++i) {
                   const float angle = position * frequencies[i];
                   turn[static_cast<size_t>(2 * i)] = std::cos(angle) * magnitude;
                   turn[static_cast<size_t>(2 * i + 1)] = std::sin(angle) * magnitude;
                 }
                 const float* x = data_of<float>(c.input(0)) + t * width;
                 float* y = mutable_data_of<float>(c.output(0)) + t * width;
                 std::copy_n(x, width, y);
                 for (int64_t head = 0; head < width; head += size)
                   for (int64_t i = 0; i < pairs; ++i) {
                     const int64_t a = head + i * step, b = a + apart;
                     const float cosine = turn[static_cast<size_t>(2 * i)], sine = turn[static_cast<size_t>(2 * i + 1)];
                     y[a] = x[a] * cosine - x[b] * sine;
                     y[b] = x[b] * cosine + x[a] * sine;
                   }
               }
             });
}

void infer_attention(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) require_tokens(c, i);
  require_integers(c, 3);
  require_integers(c, 4);
  const int64_t heads = positive(c.node(), "heads"), kv_heads = positive(c.node(), "kv_heads");
  c.require(heads % kv_heads == 0, "kv_heads does not divide heads");
  if (c.shape_known(0) && c.shape_known(1) && c.shape_known(2)) {
    const int64_t q = c.shape(0)[1], k = c.shape(1)[1], v = c.shape(2)[1];
    c.require(q == kUnknown || k == kUnknown || (q % heads == 0 && q / heads * kv_heads == k),
              "its queries " + to_string(c.shape(0)) + " and keys " + to_string(c.shape(1)) + " do not fit its heads");
    c.require(k == kUnknown || v == kUnknown || k == v, "its keys and values differ in width");
  }
  infer_same(c);
}

/// Tokens of one sequence in this run: their places, in the order of their positions.
struct Run {
  int64_t sequence = 0, first_position = 0;
  std::vector<int64_t> tokens;
};

std::vector<Run> runs_of(const RunContext& c, int64_t layer, KeyValueCache& cache) {
  const auto positions = integers_of(c.input(3)), sequences = integers_of(c.input(4));
  const int64_t tokens = c.input(0).shape()[0];
  if (static_cast<int64_t>(positions.size()) != tokens || positions.size() != sequences.size())
    c.malformed("has another number of positions or sequences than tokens");
  std::map<int64_t, size_t> index;
  std::vector<Run> runs;
  for (size_t t = 0; t < positions.size(); ++t) {
    const auto [it, added] = index.try_emplace(sequences[t], runs.size());
    if (added) runs.push_back({sequences[t], cache.rows(layer, sequences[t]).length(), {}});
    Run& run = runs[it->second];
    if (positions[t] != run.first_position + static_cast<int64_t>(run.tokens.size()))
      c.malformed("position " + std::to_string(positions[t]) + " of sequence " + std::to_string(sequences[t]) +
                  " does not follow the one before it");
    run.tokens.push_back(static_cast<int64_t>(t));
  }
  return runs;
}

struct Heads {
  int64_t count, kv_count, size, window;
  float scale;
};

/// Tokens [begin, end) of a run for one head. `scores` is scratch.
void attend(const RunContext& c, const Heads& h, const Run& run, const KeyValueCache::Rows& rows, int64_t head,
            int64_t begin, int64_t end, std::vector<float>& scores, std::vector<float>& gathered) {
  const int64_t width = h.count * h.size, kv_width = h.kv_count * h.size, count = end - begin;
  const int64_t last = run.first_position + end;  // positions seen by the last token, itself included
  const int64_t first = h.window > 0 ? std::max<int64_t>(0, run.first_position + begin + 1 - h.window) : 0;
  const int64_t seen = last - first;
  scores.resize(static_cast<size_t>(count * seen));
  gathered.resize(static_cast<size_t>(2 * count * h.size));
  float* q = gathered.data();
  float* o = q + count * h.size;
  for (int64_t t = 0; t < count; ++t)
    std::copy_n(data_of<float>(c.input(0)) + run.tokens[static_cast<size_t>(begin + t)] * width + head * h.size, h.size,
                q + t * h.size);
  const int64_t kv_head = head / (h.count / h.kv_count);
  const float* keys = rows.keys.data() + first * kv_width + kv_head * h.size;
  const float* values = rows.values.data() + first * kv_width + kv_head * h.size;
  const SingleThreadedOnednn guard;
  dnnl::sgemm('N', 'T', count, seen, h.size, h.scale, q, h.size, keys, kv_width, 0.0f, scores.data(), seen);
  for (int64_t t = 0; t < count; ++t) {
    float* row = scores.data() + t * seen;
    const int64_t stop = seen - (count - 1 - t);  // one past the token itself
    const int64_t start = h.window > 0 ? std::max<int64_t>(0, stop - h.window) : 0;
    float largest = -std::numeric_limits<float>::infinity();
    for (int64_t i = start; i < stop; ++i) largest = std::max(largest, row[i]);
    double sum = 0;
    for (int64_t i = start; i < stop; ++i) {
      row[i] = std::exp(row[i] - largest);
      sum += static_cast<double>(row[i]);
    }
    const auto inverse = static_cast<float>(1 / sum);
    for (int64_t i = start; i < stop; ++i) row[i] *= inverse;
    std::fill(row, row + start, 0.0f);
    std::fill(row + stop, row + seen, 0.0f);
  }
  dnnl::sgemm('N', 'N', count, h.size, seen, 1.0f, scores.data(), seen, values, kv_width, 0.0f, o, h.size);
  float* y = mutable_data_of<float>(c.output(0));
  for (int64_t t = 0; t < count; ++t)
    std::copy_n(o + t * h.size, h.size, y + run.tokens[static_cast<size_t>(begin + t)] * width + head * h.size);
}

void run_attention(RunContext& c) {
  const Node& node = c.node();
  Heads h{positive(node, "heads"), positive(node, "kv_heads"), 0, node.integer("window", 0), 0};
  const int64_t tokens = c.input(0).shape()[0], kv_width = c.input(1).shape()[1], layer = node.integer("layer", 0);
  if (tokens == 0) return;
  h.size = c.input(0).shape()[1] / h.count;
  h.scale = node.real("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(h.size))));
  KeyValueCache own;  // without one, the tokens of this run are all that there is
  KeyValueCache& cache = c.environment().key_value_cache() ? *c.environment().key_value_cache() : own;
  const std::vector<Run> runs = runs_of(c, layer, cache);
  struct Piece {
    size_t run;
    int64_t head, begin, end;
  };
  std::vector<Piece> pieces;
  std::vector<const KeyValueCache::Rows*> rows;
  for (size_t r = 0; r < runs.size(); ++r) {
    const Run& run = runs[r];
    KeyValueCache::Rows& mine = cache.rows(layer, run.sequence);
    mine.width = kv_width;
    for (const int64_t t : run.tokens)
      for (const auto& [from, to] : {std::pair{size_t{1}, &mine.keys}, std::pair{size_t{2}, &mine.values}}) {
        const float* x = data_of<float>(c.input(from)) + t * kv_width;
        to->insert(to->end(), x, x + kv_width);
      }
    rows.push_back(&mine);
    const auto length = static_cast<int64_t>(run.tokens.size());
    for (int64_t begin = 0; begin < length; begin += kTile)
      for (int64_t head = 0; head < h.count; ++head)
        pieces.push_back({r, head, begin, std::min(begin + kTile, length)});
  }
  const auto threads = static_cast<size_t>(c.pool().threads());
  std::vector<std::vector<float>> scores(threads), gathered(threads);
  c.pool().for_each(static_cast<int64_t>(pieces.size()), [&](int64_t i, int worker) {
    const Piece& p = pieces[static_cast<size_t>(i)];
    attend(c, h, runs[p.run], *rows[p.run], p.head, p.begin, p.end, scores[static_cast<size_t>(worker)],
           gathered[static_cast<size_t>(worker)]);
  });
}

}  // namespace

const Operator& rotate_pairs() {
  static const Operator op{"RotatePairs", "nibble", 3, 3, 1, infer_rotate, run_rotate, Layout::kFixed, false};
  return op;
}
const Operator& causal_attention() {
  static const Operator op{"CausalAttention", "nibble", 5, 5, 1, infer_attention, run_attention, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
