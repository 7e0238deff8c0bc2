// One table of bytes for every machine: what quantizing a fixed matrix writes, as hashes. The same on x86-64 and
// AArch64, for any number of threads and any compiler. A change here is a change of every file that nibble writes: make
// it on purpose, and say so in the change log. The test prints the new table when it fails.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "fit/quantize.h"

namespace nibble::fit {
namespace {

constexpr int64_t kRows = 24, kColumns = 200;

/// Bell-shaped with a few outliers, by exact arithmetic only: no function of the C library takes part.
std::vector<float> fixed_matrix() {
  std::vector<float> values(kRows * kColumns);
  uint64_t state = 0x123456789ABCDEF;
  for (size_t i = 0; i < values.size(); ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 6; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<int32_t>(state >> 48) - 32768;
    }
    values[i] = static_cast<float>(sum) * 0x1p-19f;
    if (i % 97 == 0) values[i] *= 5.0f;
    if (i % 13 == 0) values[i] = 0.0f;
  }
  return values;
}

uint64_t hash(base::Bytes bytes, uint64_t state) {  // FNV-1a
  for (const std::byte b : bytes) state = (state ^ static_cast<uint64_t>(b)) * 0x100000001B3u;
  return state;
}

uint64_t hash(const tensor::Tensor& t) {
  uint64_t state = hash(t.bytes(), 0xCBF29CE484222325u);
  const tensor::Quantization& q = *t.quantization();
  for (const tensor::Tensor* part : {&q.scale, &q.zero, &q.offset})
    if (*part) state = hash(part->bytes(), state);
  return hash(std::as_bytes(std::span<const float>(&q.tensor_scale, 1)), state);
}

struct Row {
  const char* format;
  Map map;
  const char* rule;
  int64_t group;
  uint64_t hash;
};

constexpr Row kTable[] = {
#include "fit/bytes_table.inc"
};

TEST(Bytes, AreTheSameOnEveryMachine) {
  const std::vector<float> values = fixed_matrix();
  base::ThreadPool pool(2);
  std::string table;
  bool same = true;
  for (const codec::NumberFormat* format : codec::all_formats())
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted})
      for (const ClipRule* rule : all_clip_rules())
        for (const int64_t group : {0, 16, 32}) {
          if (!supports(*format, map) || (format->block != 0 && format->block != group)) continue;
          const QuantizedMatrix q =
              quantize_matrix({values.data(), kRows, kColumns, kColumns, 1}, make_grid(*format, map), group, false,
                              *rule, *find_round_method("nearest"), {}, {}, pool);
          const uint64_t got = hash(to_tensor(q, {kRows, kColumns}, false));
          std::string enumerator(name_of(map));
          enumerator[0] = static_cast<char>(enumerator[0] - 'a' + 'A');
          char line[128];
          std::snprintf(line, sizeof line, "{\"%s\", Map::k%s, \"%s\", %d, 0x%016llX},\n", format->name.data(),
                        enumerator.c_str(), rule->name.data(), static_cast<int>(group),
                        static_cast<unsigned long long>(got));
          table += line;
          bool known = false;
          for (const Row& row : kTable)
            known = known || (row.format == format->name && row.map == map && row.rule == rule->name &&
                              row.group == group && row.hash == got);
          EXPECT_TRUE(known) << line;
          same = same && known;
        }
  if (!same) std::printf("%s", table.c_str());
}

}  // namespace
}  // namespace nibble::fit
