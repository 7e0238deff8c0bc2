#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nibble::base {

/// What went wrong, seen from the user. The number is the exit status of the program.
enum class ErrorKind : int {
  kUsage = 2,        ///< a bad flag, input equals output, the output exists
  kMalformed = 3,    ///< the input is malformed or truncated, or names an unsafe path
  kUnsupported = 4,  ///< the input is valid but nibble cannot do this with it
  kIo = 5,           ///< open, read, write, disk full, permission
  kLimit = 6,        ///< a limit was or would be exceeded: memory, time, a cap of Limits
  kInternal = 7,     ///< a bug of ours
};

/// The one exception type for everything that is not our bug: kind, place, one sentence, what to do about it.
///
/// `place` names file, tensor or node ("net.onnx: node \"conv1\" (Conv)"), `sentence` what was found and expected,
/// `advice` what the user can do (may be empty). Untrusted text must pass through `in_quotes` first.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string place, std::string sentence, std::string advice = {});

  ErrorKind kind() const { return kind_; }
  const std::string& place() const { return place_; }
  const std::string& sentence() const { return sentence_; }
  const std::string& advice() const { return advice_; }
  int exit_status() const { return static_cast<int>(kind_); }

  /// The same error with `outer` put before its place; used where a caller knows the file and the callee only the node.
  Error within(std::string_view outer) const;

 private:
  ErrorKind kind_;
  std::string place_, sentence_, advice_;
};

/// Length of the valid UTF-8 sequence at the front of `text` (not empty), 0 where there is none.
size_t utf8_length(std::string_view text);
/// `text` in double quotes with control bytes, quotes and bytes that are not UTF-8 escaped, cut at 80 characters:
/// nothing that a file says reaches a terminal raw.
std::string in_quotes(std::string_view text);
/// `text` escaped as `in_quotes` does, without the quotes.
std::string printable(std::string_view text, size_t max_chars = 80);

[[noreturn]] void fail_usage(std::string place, std::string sentence, std::string advice = {});
[[noreturn]] void fail_malformed(std::string place, std::string sentence, std::string advice = {});
[[noreturn]] void fail_unsupported(std::string place, std::string sentence, std::string advice = {});
[[noreturn]] void fail_io(std::string place, std::string sentence, std::string advice = {});
[[noreturn]] void fail_limit(std::string place, std::string sentence, std::string advice = {});

/// A broken invariant of ours: throws an Error of kind kInternal naming the source line. Never for input.
[[noreturn]] void broken_invariant(const char* condition, const char* file, int line);

#define NIBBLE_INVARIANT(condition) \
  ((condition) ? void(0) : ::nibble::base::broken_invariant(#condition, __FILE__, __LINE__))

}  // namespace nibble::base
