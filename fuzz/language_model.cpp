// A GGUF file as a language model: recognised, built into a Graph, and run on a few tokens where it is small.
#include <memory>

#include "arch/architecture.h"
#include "fuzz/only_errors.h"
#include "io/gguf/configuration.h"
#include "io/gguf/read.h"
#include "ops/kv_cache.h"
#include "runtime/session.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  base::Limits limits;
  limits.tensor_elements = 1 << 16;
  limits.run_bytes = 1 << 24;
  fuzz::only_errors([&] {
    const auto file = io::gguf::read_bytes(fuzz::as_bytes(data, size), nullptr, "x.gguf", limits);
    const io::gguf::MetadataConfiguration metadata(file.metadata, "x.gguf");
    const arch::Architecture* architecture =
        arch::find_architecture(metadata.text("general.architecture").value_or(""));
    if (!architecture) return;
    arch::NamedTensors tensors;
    for (const auto& t : file.tensors) tensors.emplace_back(t.name, t.tensor);
    std::vector<std::string> notes;
    const arch::Model model = arch::build(*architecture, architecture->from_metadata(metadata, architecture->name, 8),
                                          arch::Source::kGguf, tensors, "x.gguf", notes);
    base::ThreadPool pool(1);
    runtime::SessionOptions options;
    options.limits = limits;
    runtime::Session session(model.graph, pool, options);
    ops::KeyValueCache cache;
    session.use_cache(&cache);
    const auto list = [](std::vector<int64_t> v) {
      return tensor::Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, std::span<const int64_t>(v));
    };
    session.run(std::vector<tensor::Tensor>{list({1, 2}), list({0, 1}), list({0, 0}), list({1})});
    session.run(std::vector<tensor::Tensor>{list({3}), list({2}), list({0}), list({0})});
  });
  return 0;
}
