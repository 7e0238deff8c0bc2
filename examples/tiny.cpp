// The whole chain through the library: open a network, calibrate, quantize, save, open the result again, compare, run.
//
//   tiny NETWORK.onnx CALIBRATION TEST OUTPUT.onnx [SCHEME]
//
// CALIBRATION and TEST are anything that `nibble` takes as data: a folder or zip of images, .npy, ... The exit status
// is that of the program: 0, or the kind of the error.
#include <nibble/nibble.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace {

void describe(const char* what, const nibble::Network& network) {
  std::printf("%s\n", what);
  const auto print = [](const char* kind, const nibble::ValueInfo& value) {
    std::printf("  %-8s%s %s [", kind, value.name.c_str(), value.type.c_str());
    for (size_t i = 0; i < value.shape.size(); ++i)
      std::printf(i ? ",%s" : "%s", value.shape[i] < 0 ? "N" : std::to_string(value.shape[i]).c_str());
    std::printf("]\n");
  };
  for (const auto& input : network.inputs()) print("input", input);
  for (const auto& output : network.outputs()) print("output", output);
  std::printf("  weights %lld, %.2f bits each\n", static_cast<long long>(network.weights()), network.bits_per_weight());
}

/// The three layers whose weights lost most.
void print_worst(std::vector<nibble::LayerResult> layers) {
  std::stable_sort(layers.begin(), layers.end(), [](const auto& a, const auto& b) { return a.sqnr_db < b.sqnr_db; });
  for (size_t i = 0; i < std::min<size_t>(3, layers.size()); ++i)
    std::printf("  %-12s %s, %.2f bits a weight, SQNR %.1f dB\n", layers[i].name.c_str(), layers[i].format.c_str(),
                layers[i].bits_per_weight, layers[i].sqnr_db);
}

void print_bill(const nibble::Comparison& c) {
  const auto percent = [](int64_t part, int64_t all) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(all);
  };
  if (c.labelled > 0)
    std::printf(
        "  top-1         %.2f %% -> %.2f %% of %lld, 95 %% interval of the change %+.2f to %+.2f points, p = %.2g\n",
        percent(c.before_right, c.labelled), percent(c.after_right, c.labelled), static_cast<long long>(c.labelled),
        100 * c.top1_change_interval.low, 100 * c.top1_change_interval.high, c.p_value);
  if (c.classes)
    std::printf("  same answer   %.2f %%\n  KL divergence %.3g nats\n", percent(c.same_answer, c.samples), c.kl_mean);
  std::printf("  output error  %.3g of its size\n", c.relative_error);
}

/// The class that a network gives to one sample.
size_t answer(const nibble::Network& network, const nibble::Batch& sample) {
  nibble::Session session(network);
  const nibble::Array output = session.run(sample.inputs).at(0);
  return static_cast<size_t>(std::max_element(output.values.begin(), output.values.end()) - output.values.begin());
}

int run(int argc, char** argv) {
  const std::string scheme = argc > 5 ? argv[5] : "W4A8";
  const nibble::Network network = nibble::Network::open(argv[1]);
  describe(argv[1], network);

  const nibble::Dataset calibration(argv[2], network);
  const nibble::Quantized small = nibble::quantize(network, {.scheme = scheme}, calibration.batches(256));
  const nibble::Saved saved = small.network.save(argv[4], {.force = true});
  std::printf("\n%s\n  %lld -> %lld bytes; the layers that lost most:\n", small.scheme.c_str(),
              static_cast<long long>(network.file_bytes()), static_cast<long long>(saved.bytes));
  print_worst(small.layers);

  // What is measured is the file, not what is still in memory.
  const nibble::Network written = nibble::Network::open(argv[4]);
  const nibble::Dataset test(argv[3], network);
  std::printf("\n%s\n", test.describe().c_str());
  print_bill(nibble::compare(network, written, test.batches()));

  const nibble::Batch first = test.batch(0, 1);
  const size_t before = answer(network, first), after = answer(written, first);
  const auto name = [&](size_t i) { return i < network.classes().size() ? network.classes()[i] : std::to_string(i); };
  std::printf("\nfirst sample: %s before, %s after\n", name(before).c_str(), name(after).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: tiny NETWORK.onnx CALIBRATION TEST OUTPUT.onnx [SCHEME]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const nibble::Error& error) {
    std::fprintf(stderr, "tiny: error: %s\n", error.what());
    return static_cast<int>(error.kind());
  }
}
