#pragma once
#include <cmath>
#include <cstdint>

namespace nibble::base {

/// Counter-based random numbers: the n-th number of a (seed, stream) pair is a pure function of the three, so results
/// do not depend on threads or on order. The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : key_(mix(seed) ^ mix(stream * 0x9E3779B97F4A7C15u + 1)) {}

  uint64_t bits(uint64_t index) const { return mix(key_ + index * 0x9E3779B97F4A7C15u); }
  uint64_t next() { return bits(counter_++); }
  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Uniform integer in [0, n), n > 0.
  uint64_t below(uint64_t n) {
    return static_cast<uint64_t>((__extension__ static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  /// Standard normal (Box-Muller).
  double normal() {
    const double u = 1.0 - uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform());
  }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace nibble::base
