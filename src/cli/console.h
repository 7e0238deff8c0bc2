#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "eval/table.h"

namespace nibble::cli {

using eval::bytes_text;
using eval::count_text;
using eval::display_width_padded;
using eval::seconds_text;
using eval::Table;

/// What the user sees while a command works, all of it on stderr: a bar with the time left on a terminal, one line a
/// stage elsewhere, nothing with --quiet (notes excepted: they are what must not be missed).
class Console final : public base::Progress {
 public:
  explicit Console(bool quiet);
  ~Console() override;

  void begin(std::string_view stage, int64_t total, std::string_view unit) override;
  void advance(int64_t done) override;
  void end() override;
  void note(std::string_view text) override;
  void check_cancelled() override;

  /// `label` padded to the column of labels, then text: "plan           26 Conv ...".
  void line(std::string_view label, std::string_view text);

 private:
  void draw(bool last);
  bool quiet_, terminal_;
  std::string stage_, unit_;
  int64_t total_ = 0, done_ = 0;
  std::chrono::steady_clock::time_point start_, drawn_;
  bool open_ = false;
};

/// Writes to stdout; ends the program quietly (status 141) when nobody reads it any more.
void print(std::string_view text);

/// Set by the signal handler; polled through check_cancelled.
void install_signal_handlers();
struct Interrupted {
  int signal;
  std::string left = "nothing was left behind";  ///< what the work so far is worth
};

}  // namespace nibble::cli
