// Reads and writes ONNX files, for the Python tests beside this file.
//
//     resave IN.onnx OUT.onnx [INT8.onnx]   opens IN, folds its quantized constants, saves it
//     resave --folder FOLDER                NAME/model.onnx -> NAME/resaved.onnx for every case that can be read
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "io/onnx/read.h"
#include "model/quantized_constants.h"
#include "model/save.h"
#include "model/upgrade.h"

namespace nibble {
namespace {

namespace fs = std::filesystem;

void resave(const fs::path& in, const fs::path& out, const fs::path& int8) {
  io::Notes notes;
  graph::Graph g = io::onnx::read(in, {}, notes);
  model::upgrade(g);
  model::fold_quantized_constants(g);
  model::SaveOptions options;
  options.force = true;
  options.inputs = {in};
  options.also_int8 = int8;
  model::save(g, out, options);
}

int resave_folder(const fs::path& folder) {
  int saved = 0, refused = 0, failed = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!fs::exists(entry.path() / "model.onnx")) continue;
    fs::remove(entry.path() / "resaved.onnx");
    try {
      resave(entry.path() / "model.onnx", entry.path() / "resaved.onnx", {});
      ++saved;
    } catch (const base::Error& e) {
      const bool unsupported = e.kind() == base::ErrorKind::kUnsupported;
      ++(unsupported ? refused : failed);
      if (!unsupported) std::printf("FAILED %s\n", e.what());
    }
  }
  std::printf("%d saved, %d not supported, %d failed\n", saved, refused, failed);
  return failed || !saved ? 1 : 0;
}

}  // namespace
}  // namespace nibble

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--folder") return nibble::resave_folder(argv[2]);
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: resave IN OUT [INT8] | resave --folder FOLDER\n");
    return 2;
  }
  try {
    nibble::resave(argv[1], argv[2], argc == 4 ? argv[3] : "");
    return 0;
  } catch (const nibble::base::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_status();
  }
}
