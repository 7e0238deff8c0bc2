#include "model/open.h"

#include "model/matmul_nbits_form.h"
#include "model/quantized_constants.h"
#include "model/upgrade.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::model {
namespace {

using Problems = std::vector<base::Error>;

/// Runs a step of opening. False when it failed and that was added to `problems`; without those the Error leaves.
template <typename Step>
bool attempt(Problems* problems, const std::string& place, const Step& step) {
  try {
    step();
    return true;
  } catch (const base::Error& e) {
    const base::Error placed = place.empty() ? e : e.within(place);
    if (!problems || e.kind() == base::ErrorKind::kInternal) throw placed;
    problems->push_back(placed);
    return false;
  }
}

/// Constants of a file that neither nodes nor the network's outputs read, by name.
std::vector<std::string> unread_constants(const graph::Graph& g) {
  std::vector<bool> read(static_cast<size_t>(g.value_count()), false);
  for (graph::NodeId id = 0; id < g.node_count(); ++id) {
    for (const graph::ValueId v : g.node(id).inputs)
      if (v != graph::kNoValue) read[static_cast<size_t>(v)] = true;
  }
  for (const graph::ValueId v : g.outputs) read[static_cast<size_t>(v)] = true;
  std::vector<std::string> names;
  for (graph::ValueId v = 0; v < g.value_count(); ++v)
    if (g.is_constant(v) && !read[static_cast<size_t>(v)]) names.push_back(g.value(v).name);
  return names;
}

void note_unread(const graph::Graph& g, io::Notes& notes) {
  const auto names = unread_constants(g);
  if (names.empty()) return;
  std::string text = std::to_string(names.size()) + (names.size() == 1 ? " constant is" : " constants are") +
                     " read by nothing and left out: ";
  for (size_t i = 0; i < names.size() && i < 3; ++i) text += (i ? ", " : "") + base::in_quotes(names[i]);
  notes.push_back(text + (names.size() > 3 ? ", ..." : ""));
}

void add_unsupported(const graph::Graph& g, const std::string& place, Problems& problems) {
  for (const auto& u : runtime::unsupported_operators(g))
    problems.emplace_back(base::ErrorKind::kUnsupported, place + ": operator " + u.describe(),
                          "is not supported (the first is node " + base::in_quotes(u.first_node) + ")", "");
}

}  // namespace

graph::Graph open(const std::filesystem::path& path, const OpenOptions& options, io::Notes& notes, Problems* problems) {
  const std::string place = base::printable(path.string(), 400);
  graph::Graph g;
  if (!attempt(problems, "", [&] { g = io::onnx::read(path, options.limits, notes); })) return g;
  if (problems) note_unread(g, notes);
  if (!attempt(problems, place, [&] {
        upgrade(g);
        fold_quantized_constants(g);
        fold_nbits(g);
      }))
    return g;
  if (problems) {
    add_unsupported(g, place, *problems);
    Problems found;
    for (const std::string& note : runtime::infer_shapes(g, &found)) notes.push_back(note);
    for (const base::Error& e : found) problems->push_back(e.within(place));
    if (!problems->empty()) return g;
  }
  attempt(problems, place, [&] {
    base::ThreadPool pool(1);  // constants are small; the caller's pool is for its own work
    if (!problems)             // else they are inferred already
      for (const std::string& note : runtime::infer_shapes(g)) notes.push_back(note);
    runtime::settle(g, pool, options.limits);
    runtime::remove_identities(g);
    runtime::remove_dead_nodes(g);
    g.compact();
    runtime::infer_shapes(g);  // folded constants (shapes, axes) often settle sizes that were open
  });
  return g;
}

}  // namespace nibble::model
