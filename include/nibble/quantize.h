#pragma once
#include <nibble/array.h>
#include <nibble/export.h>
#include <nibble/network.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

struct QuantizeOptions {
  /// What is quantized and how: W4A16, W4A8, W4A4, W8A16 or W8A8, with options after a colon, as on the command line:
  /// "W4A16:int4,group=64,clip=minmax,keep=first". docs/formats.md and docs/guide.md list them.
  std::string scheme = "W4A16";
  /// Ranges of activations and weights as `--save-ranges` writes them (JSON text); then no batches are needed.
  std::string ranges = {};
  /// The style that the network will be saved in: kMatMulNBits gives products unsigned codes and quantizes the tables
  /// of Gather too, and reports the bits that they take in that form.
  OnnxStyle style = OnnxStyle::kQdq;
  bool allow_fallback = false;  ///< leave layers wide that cannot be quantized as asked, instead of throwing
  bool zero_nonfinite = false;  ///< NaN and infinite weights become 0, instead of throwing
  int threads = 0;              ///< 0: every core that this process may use. The result does not depend on it
};

/// What became of one layer with constant weights.
struct LayerResult {
  std::string name, op;
  std::vector<int64_t> shape;   ///< of its weight
  std::string format;           ///< "int4", ...; "f32" for one that was left as it was
  double bits_per_weight = 32;  ///< scales and zero points included
  /// 10 log10(sum w^2 / sum (w - w')^2) of the weight, in dB; infinite when exact (or left as it was).
  double sqnr_db = 0;
  std::string note;  ///< why it differs from the scheme; empty if it does not
};

struct Quantized {
  Network network;
  std::string scheme;  ///< spelled out, every default included; quantize() reads it back
  std::string ranges;  ///< what the calibration learned (JSON text for QuantizeOptions::ranges); empty without one
  std::vector<LayerResult> layers;
  std::vector<std::string> prepared;  ///< what the preparations that the scheme names did, a phrase each
  std::vector<std::string> left_out;  ///< operators with weights that no scheme quantizes, and why
};

/// Makes a network 4 (or 8) bits wide. `calibration` gives samples that show what the activations look like. Schemes
/// with activations of 8 or 4 bits need it, unless `ranges` are given; others read it too where it is given: it says
/// how much each input of a layer matters, and what biases must take back. Labels are ignored. The formulas and their
/// sources: docs/formats.md.
///
/// Throws Error: kUsage (a scheme that is not understood, missing calibration), kMalformed (NaN or infinity, naming
/// tensor and index), kUnsupported (layers that cannot be quantized as asked, all of them in one message).
NIBBLE_API Quantized quantize(const Network& network, const QuantizeOptions& options = {},
                              const NextBatch& calibration = {});

}  // namespace nibble
