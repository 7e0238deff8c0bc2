#pragma once
#include <nibble/array.h>
#include <nibble/export.h>
#include <nibble/network.h>

#include <memory>
#include <vector>

namespace nibble {

/// Runs a network, float or quantized, on the CPU; quantized products in integer arithmetic, as the file says. Results
/// are the same for any number of threads. One run at a time.
class NIBBLE_API Session {
 public:
  /// `threads`: 0 for every core that this process may use. Throws Error(kUnsupported) naming every operator that
  /// nibble lacks.
  explicit Session(const Network& network, int threads = 0);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// The outputs in the network's order for `inputs` in the network's order. Outputs of 16-bit and 64-bit floats are
  /// converted to float32. Throws Error: kUsage (wrong number, shape or size of inputs), kUnsupported (inputs or
  /// outputs that are not floats).
  std::vector<Array> run(const std::vector<Array>& inputs);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nibble
