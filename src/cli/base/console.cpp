#include "cli/base/console.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <string>

#include "core/clock.h"

namespace quboprune {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<bool> stop{false};  // a signal handler can reach nothing else
static_assert(std::atomic<bool>::is_always_lock_free);

std::atomic<bool> finishing{false}, stop_finishing{false};

std::atomic<std::int64_t> asked{0};  // when
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

/// The second time it ends at once, or, where something short is being finished, that. But who runs us as a
/// child may pass on a Ctrl-C that the terminal gave to both: what comes right behind the first is that.
void on_signal(int signal) {
  constexpr std::int64_t kTheSame = 2'000'000'000;  // ns
  const std::int64_t now = Clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  if (!stop) {
    asked = now;
    stop = true;
  } else if (now - asked <= kTheSame) {
    return;
  } else if (finishing && !stop_finishing) {
    asked = now;
    stop_finishing = true;
  } else {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

/// What is on the screen.
struct Bar {
  std::mutex mutex;
  std::string stage;
  Clock::time_point began, drawn;
  double done = 0;
  bool repeats = false;  ///< it began again: how often it still will isn't known
  bool on_screen = false;
};

Bar& bar() {
  static Bar instance;
  return instance;
}

std::string line(const Bar& b, bool terminal, double done, double total, double best, double seconds) {
  std::string text = b.stage;
  if (total > 0) {
    const double share = std::clamp(done / total, 0.0, 1.0);
    const auto filled = static_cast<std::size_t>(share * 24);
    if (terminal) text += fmt::format(" [{}{}]", std::string(filled, '#'), std::string(24 - filled, '.'));
    text += fmt::format(" {:3.0f} %", 100 * share);
    if (share > 0.02 && !b.repeats) text += fmt::format(", {:.0f} s left", seconds * (1 - share) / share);
  } else {
    text += fmt::format(" {:.0f}", done);
  }
  if (!std::isnan(best)) text += fmt::format(", best {:.4g}", best);
  return text;
}

/// Of the terminal: a line that wraps couldn't be redrawn in place.
std::size_t columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

void clear() {
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

}  // namespace

ProgressCallback console_progress() {
  return [terminal = isatty(STDERR_FILENO) != 0](std::string_view stage, double done, double total,
                                                 double best) {
    Bar& b = bar();
    const std::lock_guard lock(b.mutex);
    const auto now = Clock::now();
    if (b.stage.empty()) b.drawn = now;  // the first there is
    if (b.stage != stage) {
      b.stage = stage;
      b.began = now;
      b.repeats = false;
    } else {
      b.repeats = b.repeats || done < b.done;
    }
    b.done = done;
    if (terminal && b.on_screen && total > 0 && done >= total) clear();  // results may be printed next
    // The first line waits until the work has lasted, whatever its stages; then each has its turn.
    const double wait = !terminal ? 10 : b.on_screen ? 0.2 : 2;
    if (seconds_since(b.drawn) < wait) return;
    b.drawn = now;
    b.on_screen = true;
    const std::string text = line(b, terminal, done, total, best, seconds_since(b.began));
    if (terminal) {
      fmt::print(stderr, "\r\033[K{}", text.substr(0, columns() - 1));
    } else {
      fmt::print(stderr, "{}\n", text);
    }
    std::fflush(stderr);
  };
}

void finish_progress() {
  Bar& b = bar();
  const std::lock_guard lock(b.mutex);
  if (b.on_screen && isatty(STDERR_FILENO) != 0) clear();
  b.on_screen = false;
  b.stage.clear();
}

const std::atomic<bool>& stop_on_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  return stop;
}

Finishing::Finishing() {
  finishing = true;
}

Finishing::~Finishing() {
  finishing = false;
}

const std::atomic<bool>& Finishing::stop() const {
  return stop_finishing;
}

}  // namespace quboprune
