// How fast matrices are quantized: bytes of float weights a second, by rule, map and group. Two threads unless
// NIBBLE_BENCH_THREADS says otherwise.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "base/random.h"
#include "fit/quantize.h"

namespace nibble::fit {
namespace {

constexpr int64_t kRows = 512, kColumns = 4608;

const std::vector<float>& weights() {
  static const std::vector<float> values = [] {
    std::vector<float> v(kRows * kColumns);
    base::Random random(1);
    for (float& x : v) x = static_cast<float>(random.normal() * 0.05);
    return v;
  }();
  return values;
}

void quantize(benchmark::State& state, const char* format, Map map, const char* rule, int64_t group) {
  const char* threads = std::getenv("NIBBLE_BENCH_THREADS");
  base::ThreadPool pool(threads ? std::atoi(threads) : 2);
  const MatrixView view{weights().data(), kRows, kColumns, kColumns, 1};
  const Grid grid = make_grid(*codec::find_format(format), map);
  double error = 0.0, signal = 1.0;
  for (auto _ : state) {
    const QuantizedMatrix q =
        quantize_matrix(view, grid, group, false, *find_clip_rule(rule), *find_round_method("nearest"), {}, {}, pool);
    error = q.error;
    signal = q.signal;
  }
  state.SetBytesProcessed(state.iterations() * kRows * kColumns * 4);
  state.counters["error"] = error / signal;
}

BENCHMARK_CAPTURE(quantize, int4_minmax_channel, "int4", Map::kSymmetric, "minmax", 0)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int4_minmax_group32, "int4", Map::kSymmetric, "minmax", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, uint4_affine_minmax_group32, "uint4", Map::kAffine, "minmax", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int4_percentile_channel, "int4", Map::kSymmetric, "percentile", 0)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int4_mse_channel, "int4", Map::kSymmetric, "mse", 0)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int4_mse_group32, "int4", Map::kSymmetric, "mse", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int4_mse_group128, "int4", Map::kSymmetric, "mse", 128)->UseRealTime();
BENCHMARK_CAPTURE(quantize, uint4_affine_mse_group32, "uint4", Map::kAffine, "mse", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, uint4_affine_mse_channel, "uint4", Map::kAffine, "mse", 0)->UseRealTime();
BENCHMARK_CAPTURE(quantize, uint4_minmax_mse_group32, "uint4", Map::kMinmax, "mse", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, nf4_mse_group32, "nf4", Map::kSymmetric, "mse", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, mxfp4_mse, "mxfp4", Map::kSymmetric, "mse", 32)->UseRealTime();
BENCHMARK_CAPTURE(quantize, nvfp4_mse, "nvfp4", Map::kSymmetric, "mse", 16)->UseRealTime();
BENCHMARK_CAPTURE(quantize, int8_mse_channel, "int8", Map::kSymmetric, "mse", 0)->UseRealTime();

}  // namespace
}  // namespace nibble::fit

BENCHMARK_MAIN();
