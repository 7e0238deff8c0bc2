#include "model/open.h"

#include "base/error.h"
#include "model/quantized_constants.h"
#include "model/upgrade.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::model {

graph::Graph open(const std::filesystem::path& path, const OpenOptions& options, io::Notes& notes) {
  graph::Graph g = io::onnx::read(path, options.limits, notes);
  try {
    upgrade(g);
    fold_quantized_constants(g);
    runtime::require_supported(g);
    base::ThreadPool pool(1);  // constants are small; the caller's pool is for its own work
    for (const std::string& note : runtime::infer_shapes(g)) notes.push_back(note);
    runtime::fold_constants(g, pool, options.limits);
    runtime::remove_identities(g);
    runtime::remove_dead_nodes(g);
    g.compact();
    runtime::infer_shapes(g);  // folded constants (shapes, axes) often settle sizes that were open
  } catch (const base::Error& e) {
    throw e.within(base::printable(path.string(), 400));
  }
  return g;
}

}  // namespace nibble::model
