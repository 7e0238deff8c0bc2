#pragma once
#include <nibble/export.h>

#include <stdexcept>
#include <string>

namespace nibble {

/// What went wrong, seen from the user. The number is the exit status that the program `nibble` ends with.
enum class ErrorKind : int {
  kUsage = 2,        ///< an argument that makes no sense, output equals input, the output exists
  kMalformed = 3,    ///< a file is malformed or truncated, or values are not finite
  kUnsupported = 4,  ///< valid, but nibble cannot do this with it
  kIo = 5,           ///< open, read, write, disk full, permission
  kLimit = 6,        ///< a safety limit would be exceeded
  kInternal = 7,     ///< a bug in nibble
};

/// The one exception type of the library (beside std::bad_alloc). what() is "place: sentence; advice", on one line,
/// with whatever a file said escaped: safe to print on a terminal.
class NIBBLE_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& what, std::string place, std::string sentence, std::string advice);
  ~Error() override;

  ErrorKind kind() const noexcept { return kind_; }
  /// File, tensor or node: `net.onnx: node "conv1" (Conv)`. May be empty.
  const std::string& place() const noexcept { return place_; }
  /// What was found and what was expected.
  const std::string& sentence() const noexcept { return sentence_; }
  /// What to do about it. May be empty.
  const std::string& advice() const noexcept { return advice_; }

 private:
  ErrorKind kind_;
  std::string place_, sentence_, advice_;
};

}  // namespace nibble
