// consumer NETWORK.onnx OUTPUT.onnx: quantizes, runs both, and meets an error across the library's boundary.
#include <nibble/nibble.h>

#include <cmath>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const nibble::Network network = nibble::Network::open(argv[1]);
  const nibble::Quantized small = nibble::quantize(network, {.scheme = "W4A16"});
  small.network.save(argv[2]);

  nibble::Array input{network.inputs().at(0).shape, {}};
  int64_t count = 1;
  for (int64_t& size : input.shape) {
    if (size < 0) size = 1;
    count *= size;
  }
  for (int64_t i = 0; i < count; ++i) input.values.push_back(std::sin(static_cast<float>(i)));
  const auto x = nibble::Session(network, 1).run({input}),
             y = nibble::Session(nibble::Network::open(argv[2]), 2).run({input});
  double signal = 0, noise = 0;
  for (size_t i = 0; i < x.at(0).values.size(); ++i) {
    signal += std::pow(x[0].values[i], 2);
    noise += std::pow(x[0].values[i] - y.at(0).values.at(i), 2);
  }
  std::printf("nibble %s: %.2f bits a weight, output error %.3f\n", nibble::version(), small.network.bits_per_weight(),
              std::sqrt(noise / signal));
  if (!(noise > 0 && noise < signal)) return 1;

  try {
    small.network.save(argv[2]);
  } catch (const nibble::Error& error) {
    std::printf("refused: %s\n", error.what());
    return error.kind() == nibble::ErrorKind::kUsage ? 0 : 1;
  }
  return 1;
}
