#include <dlfcn.h>

#include <array>

#include "base/error.h"
#include "train/autograd.h"

namespace nibble::train {
namespace {

constexpr const char* kFile = "libnibble_train.so";

/// Where this program lies, and where an installed one finds its libraries.
std::vector<std::filesystem::path> usual_folders() {
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  return {program, program.parent_path() / NIBBLE_LIBRARY_FOLDER};
}

}  // namespace

const Module& load_module(const std::filesystem::path& folder) {
  static const Module* loaded = nullptr;
  if (loaded) return *loaded;
  std::string why = "it is not installed";
  for (const auto& place : folder.empty() ? usual_folders() : std::vector{folder}) {
    const auto file = place / kFile;
    std::error_code none;
    if (!std::filesystem::exists(file, none)) continue;
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      why = base::printable(dlerror(), 300);
      continue;
    }
    using Function = const Module* (*)();
    const auto function = reinterpret_cast<Function>(dlsym(handle, "nibble_train_module"));
    if (!function || function()->version != NIBBLE_BUILD) {
      why = base::printable(file.string(), 300) + " belongs to another build of nibble";
      continue;
    }
    loaded = function();
    return *loaded;
  }
  base::fail_unsupported("", "the training component cannot be used: " + why,
                         "it is built where libtorch is there (Debian: libtorch-dev), with -DNIBBLE_TRAIN=ON");
}

}  // namespace nibble::train
