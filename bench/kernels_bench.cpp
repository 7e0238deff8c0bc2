// The integer product on one thread: operations (2 m n k) a second, for every kernel that runs here, at the sizes of a
// convolution (SqueezeNet's 3x3 and 1x1 layers) and of a square product. 4-bit weights, and 8-bit ones.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/gemm_u8s8/gemm_u8s8.h"

namespace nibble::kernels {
namespace {

void product(benchmark::State& state, const GemmU8S8* kernel, int64_t m, int64_t n, int64_t k, int bits) {
  base::Random random(1);
  std::vector<uint8_t> a(static_cast<size_t>(m * k));
  std::vector<int8_t> b(static_cast<size_t>(n * k));
  for (auto& v : a) v = static_cast<uint8_t>(random.next());
  for (auto& v : b) v = static_cast<int8_t>(static_cast<int>(random.below(1u << bits)) - (1 << (bits - 1)));
  const size_t bytes = (static_cast<size_t>(kernel->packed_bytes(n, k)) + 63) / 64 * 64;
  const std::unique_ptr<int8_t, decltype(&std::free)> packed(static_cast<int8_t*>(std::aligned_alloc(64, bytes)),
                                                             &std::free);
  kernel->pack(b.data(), n, k, packed.get());
  std::vector<int32_t> c(static_cast<size_t>(m * n));
  for (auto _ : state) {
    kernel->multiply(a.data(), k, m, packed.get(), n, k, c.data(), n);
    benchmark::DoNotOptimize(c.data());
  }
  state.counters["op/s"] =
      benchmark::Counter(static_cast<double>(2 * m * n * k), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace nibble::kernels

int main(int argc, char** argv) {
  using namespace nibble::kernels;
  const struct {
    int64_t m, n, k;
  } sizes[] = {{55 * 55, 64, 16}, {55 * 55, 64, 144}, {13 * 13, 256, 576}, {13 * 13, 1000, 512}, {512, 512, 512}};
  for (const GemmU8S8* kernel : all_gemm_u8s8()) {
    if (!kernel->available()) continue;
    for (const auto& s : sizes)
      for (const int bits : {4, 8}) {
        const std::string name = "gemm_u8s8/" + std::string(kernel->name) + "/" + std::to_string(s.m) + "x" +
                                 std::to_string(s.n) + "x" + std::to_string(s.k) + "/b" + std::to_string(bits);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { product(state, kernel, s.m, s.n, s.k, bits); });
      }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
