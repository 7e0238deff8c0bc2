#include "quant/language/importance.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "model/language/rows.h"
#include "runtime/session.h"

namespace nibble::quant {
namespace {

using tensor::Tensor;

/// Sums of squares down the columns of x [rows, columns]: in double, rows in order.
void add_squares(const Tensor& x, std::vector<double>& sums, base::ThreadPool& pool) {
  const int64_t rows = x.shape()[0], columns = x.shape()[1];
  sums.resize(static_cast<size_t>(columns));
  constexpr int64_t kColumns = 256;
  const auto values = x.values<float>();
  pool.for_each((columns + kColumns - 1) / kColumns, [&](int64_t piece, int) {
    const auto begin = static_cast<size_t>(piece * kColumns),
               end = static_cast<size_t>(std::min(columns, (piece + 1) * kColumns));
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r)
      for (size_t c = begin; c < end; ++c) {
        const auto v = static_cast<double>(values[r * static_cast<size_t>(columns) + c]);
        sums[c] += v * v;
      }
  });
}

/// Weights of products by the name of the value that they multiply.
std::map<std::string, std::vector<std::string>> products_of(const graph::Graph& g) {
  std::map<std::string, std::vector<std::string>> weights;
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    if (const graph::Node& node = g.node(id); node.op == "Linear")
      weights[g.value(node.input(0)).name].push_back(g.value(node.input(1)).name);
  return weights;
}

Tensor integers(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, std::span(values));
}

}  // namespace

io::gguf::ImportanceMatrix collect_importance(const model::LanguageModel& model, std::span<const int32_t> tokens,
                                              const std::string& name, const ImportanceOptions& options,
                                              base::ThreadPool& pool, base::Progress& progress) {
  const int64_t context = std::min(options.context, model.model.sizes.context);
  int64_t windows = static_cast<int64_t>(tokens.size()) / context;
  if (options.chunks > 0) windows = std::min(windows, options.chunks);
  if (windows == 0)
    base::fail_usage("--calib", "the text has " + std::to_string(tokens.size()) + " tokens, one window takes " +
                                    std::to_string(context));
  const auto weights = products_of(model.model.graph);
  runtime::SessionOptions session_options;
  session_options.limits = options.limits;
  for (const auto& [value, names] : weights) session_options.watched.push_back(value);
  runtime::Session session(model.model.graph, pool, session_options);
  std::map<std::string, std::vector<double>> sums;
  session.watch([&](const std::string& value, const Tensor& x) { add_squares(x, sums[value], pool); });
  std::vector<int64_t> ids(static_cast<size_t>(context)), positions(ids.size()), sequences(ids.size());
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int64_t>(i);
  std::vector<int64_t> rows = positions;  // the output's product is seen at every token
  progress.begin("calibrate", windows, "windows");
  for (int64_t w = 0; w < windows; ++w) {
    progress.check_cancelled();
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = tokens[static_cast<size_t>(w * context) + i];
    if (model.vocabulary.adds_bos()) ids[0] = *model.vocabulary.special.bos;
    session.run(std::vector<Tensor>{integers(ids), integers(positions), integers(sequences), integers(rows)});
    progress.advance(w + 1);
  }
  progress.end();
  io::gguf::ImportanceMatrix m;
  m.datasets = {name};
  m.chunks = windows;
  m.chunk_size = context;
  for (const auto& [value, names] : weights)
    for (const std::string& weight : names) {
      io::gguf::ColumnUse use;
      use.count = static_cast<double>(windows * context);
      for (const double s : sums.at(value)) use.sums.push_back(static_cast<float>(s));
      m.weights.emplace(weight, std::move(use));
    }
  return m;
}

int64_t require_fitting(const io::gguf::ImportanceMatrix& matrix, const model::LanguageModel& model,
                        const std::string& place) {
  int64_t unknown = 0;
  for (const auto& [weight, use] : matrix.weights) {
    const graph::ValueId id = model.model.graph.find_value(weight);
    if (id == graph::kNoValue || !model.model.graph.is_constant(id)) {
      ++unknown;
      continue;
    }
    const int64_t columns = model::RowReader(model.model, id).columns();
    if (static_cast<int64_t>(use.sums.size()) != columns)
      base::fail_malformed(place, "has " + std::to_string(use.sums.size()) + " columns for " + base::in_quotes(weight) +
                                      ", the model has " + std::to_string(columns));
  }
  return unknown;
}

}  // namespace nibble::quant
