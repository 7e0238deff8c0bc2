// Data sets as files give them: the first byte says what the file is called, the rest is the file. All samples are
// read.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "data/dataset.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  if (size < 2) return 0;
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("nibble-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  constexpr const char* kNames[] = {"x.npz", "x.npy", "x.csv", "x.wav", "x.tar", "x.zip", "x.tsv"};
  const auto path = folder / kNames[data[0] % std::size(kNames)];
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data + 1), static_cast<std::streamsize>(size - 1));
  base::Limits limits;
  limits.zip_bytes = 1 << 22;
  limits.tensor_elements = 1 << 20;
  limits.image_pixels = 1 << 16;
  data::DatasetOptions options;
  options.inputs = {{"x", tensor::DType::f32, std::nullopt, tensor::kUnknown}};
  if (data[0] & 64) options.inputs.push_back({"state", tensor::DType::f32, tensor::Shape{3}, 1});
  if (data[0] & 32) options.audio = data::parse_audio("frame=4,context=2,run=on");
  options.limit = 16;
  fuzz::only_errors([&] {
    const auto set = data::open_dataset(path, options, limits);
    set->describe();
    for (int64_t i = 0; i < set->size(); ++i) {
      const data::Sample sample = set->sample(i);
      fuzz::require(sample.inputs.size() == options.inputs.size());
      fuzz::require(sample.label.has_value() == set->has_labels());
    }
  });
  return 0;
}
