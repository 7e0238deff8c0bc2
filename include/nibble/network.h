#pragma once
#include <nibble/export.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace nibble {

/// An input or output of a network.
struct ValueInfo {
  std::string name;
  std::string type;            ///< "f32", "f16", "i64", ...
  bool shape_known = false;    ///< whether the number of dimensions is known
  std::vector<int64_t> shape;  ///< -1: known only when the network runs (usually the batch)
};

/// How quantized weights are written.
enum class OnnxStyle : uint8_t {
  kQdq,          ///< standard ONNX: DequantizeLinear before the operator
  kMatMulNBits,  ///< onnxruntime's com.microsoft MatMulNBits and GatherBlockQuantized where they can (docs/formats.md)
};

struct SaveOptions {
  bool force = false;                    ///< replace a file that exists
  OnnxStyle style = OnnxStyle::kQdq;     ///< of the file at `path`; the one at `also_int8` is always kQdq
  std::filesystem::path also_int8 = {};  ///< a second file with the same values as 8-bit codes; empty: none
};

struct Saved {
  uint64_t bytes = 0;       ///< of the file, and of NAME.data beside it where the network needs one (above 2 GiB)
  uint64_t int8_bytes = 0;  ///< of the file `also_int8`
  int64_t opset = 0;        ///< ONNX opset that it was written in: the lowest from 21 up that has everything
};

/// A trained network, float or quantized. Immutable; copies share the weights, which stay a view of the file that they
/// came from until something changes them. Safe to use from several threads at once.
class NIBBLE_API Network {
 public:
  /// Reads an ONNX file (opset 7 to 28). Throws Error: kIo, kMalformed, kUnsupported (all of it in one message),
  /// kLimit.
  static Network open(const std::filesystem::path& path);

  /// Writes an ONNX file: atomically, read back and compared before it takes its name. An existing file is refused
  /// unless `force`, the file that the network came from always. The same bytes for any number of threads. Throws
  /// Error: kUsage, kIo, kUnsupported (a number format that ONNX cannot hold: nf4, fp4, mxfp4, nvfp4).
  Saved save(const std::filesystem::path& path, const SaveOptions& options = {}) const;

  const std::vector<ValueInfo>& inputs() const;
  const std::vector<ValueInfo>& outputs() const;
  /// Names of the classes, in the order of the outputs: from NAME.data.json beside the network or from its own metadata
  /// (key nibble.data). May be empty.
  const std::vector<std::string>& classes() const;
  /// How it was quantized, spelled out as `Quantized::scheme`; empty for a network that nibble did not quantize.
  const std::string& scheme() const;
  /// What was assumed while reading, a sentence each.
  const std::vector<std::string>& notes() const;

  /// Elements of the constant weights of Conv, Gemm and MatMul, and the bits each takes in the file, scales and zero
  /// points included (32 for a float32 network).
  int64_t weights() const;
  double bits_per_weight() const;
  /// Size of the file that it was opened from, external data included; 0 for one that was not.
  int64_t file_bytes() const;

  struct Impl;
  explicit Network(std::shared_ptr<const Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace nibble
