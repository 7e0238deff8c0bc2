#include "cli/console.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"

namespace nibble::cli {
namespace {

constexpr size_t kLabelWidth = 15;
std::atomic<int> caught_signal{0};

void on_signal(int signal) {
  if (caught_signal.exchange(signal) != 0) {  // the second time: at once
    base::remove_temporary_files();
    _exit(128 + signal);
  }
}

void write_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

Console::Console(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

Console::~Console() {
  if (open_ && terminal_ && !quiet_) write_stderr("\n");
}

void Console::begin(std::string_view stage, int64_t total, std::string_view unit) {
  stage_ = stage;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  start_ = drawn_ = std::chrono::steady_clock::now();
  open_ = true;
  if (terminal_ && !quiet_) draw(false);
}

void Console::advance(int64_t done) {
  done_ = done;
  const auto now = std::chrono::steady_clock::now();
  if (quiet_ || !terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(false);
}

void Console::end() {
  if (open_ && !quiet_) draw(true);
  open_ = false;
}

void Console::draw(bool last) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::string text = terminal_ ? "\r\x1b[K" : "";
  text += display_width_padded(stage_, kLabelWidth, false);
  if (terminal_ && total_ > 0) {
    constexpr int kBar = 32;
    const int full = static_cast<int>(std::min(done_, total_) * kBar / total_);
    for (int i = 0; i < kBar; ++i) text += i < full ? "█" : "░";
    text += "  ";
  }
  text +=
      fmt::format("{} {}", last || total_ <= 0 ? fmt::format("{}", done_) : fmt::format("{}/{}", done_, total_), unit_);
  if (last)
    text += "   " + seconds_text(seconds);
  else if (done_ > 0 && total_ > done_)
    text += "   " + seconds_text(seconds * static_cast<double>(total_ - done_) / static_cast<double>(done_)) + " left";
  if (last) text += "\n";
  write_stderr(text);
}

void Console::note(std::string_view text) { line("note", text); }

void Console::line(std::string_view label, std::string_view text) {
  if (quiet_ && label != "note") return;
  write_stderr((open_ && terminal_ && !quiet_ ? "\r\x1b[K" : "") + display_width_padded(label, kLabelWidth, false) +
               (terminal_ ? eval::wrapped(text, kLabelWidth, kLabelWidth) : std::string(text)) + "\n");
}

void Console::check_cancelled() {
  if (const int signal = caught_signal.load()) throw Interrupted{.signal = signal};
}

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) {
        base::remove_temporary_files();
        std::_Exit(141);
      }
      base::fail_io("standard output", "cannot be written");
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace nibble::cli
