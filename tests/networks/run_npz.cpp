// Runs a network on several sets of inputs in one Session, for the Python tests beside this file.
//
//     run_npz NETWORK.onnx FOLDER
//
// FOLDER/in_0.npz, in_1.npz, ... hold arrays by the names of the network's inputs; their shapes may differ. Output j of
// run k becomes FOLDER/out_k_j.npy.
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "io/npy/npy.h"
#include "model/open.h"
#include "runtime/session.h"

namespace nibble {
namespace {

namespace fs = std::filesystem;
using tensor::Tensor;

std::vector<Tensor> read_inputs(const fs::path& path, const graph::Graph& g) {
  const auto file = base::MappedFile::open(path);
  const auto arrays = io::read_npz(file->bytes(), path.string(), {});
  std::vector<Tensor> inputs;
  for (const graph::ValueId v : g.inputs)
    for (const auto& [name, array] : arrays)
      if (name == g.value(v).name) inputs.push_back(array);
  return inputs;
}

void run(const fs::path& network, const fs::path& folder) {
  io::Notes notes;
  const graph::Graph g = model::open(network, {}, notes);
  base::ThreadPool pool;
  runtime::Session session(g, pool);
  for (int k = 0; fs::exists(folder / ("in_" + std::to_string(k) + ".npz")); ++k) {
    const auto outputs = session.run(read_inputs(folder / ("in_" + std::to_string(k) + ".npz"), g));
    for (size_t j = 0; j < outputs.size(); ++j) {
      base::AtomicFile file(folder / ("out_" + std::to_string(k) + "_" + std::to_string(j) + ".npy"), true, {}, 0);
      file.write(io::npy_file(outputs[j]));
      file.commit();
    }
  }
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: run_npz NETWORK FOLDER\n");
    return 2;
  }
  try {
    nibble::run(argv[1], argv[2]);
    return 0;
  } catch (const nibble::base::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_status();
  }
}
