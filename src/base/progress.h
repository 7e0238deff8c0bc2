#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace nibble::base {

/// How long-running work reports to whoever watches; the library never prints. Called from the thread that called the
/// library, in order.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A stage begins: `stage` is one word ("calibrate"), `unit` what is counted ("images").
  virtual void begin(std::string_view stage, int64_t total, std::string_view unit) = 0;
  virtual void advance(int64_t done) = 0;
  virtual void end() = 0;
  /// One line that the user should see: a default that mattered, something that was left out.
  virtual void note(std::string_view text) = 0;
  /// Throws when the user asked to stop; called between pieces of work.
  virtual void check_cancelled() {}
};

/// Watches nothing.
class NoProgress final : public Progress {
 public:
  void begin(std::string_view, int64_t, std::string_view) override {}
  void advance(int64_t) override {}
  void end() override {}
  void note(std::string_view) override {}
};

}  // namespace nibble::base
