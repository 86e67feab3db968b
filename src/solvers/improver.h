#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/progress.h"
#include "quboprune/solver.h"

namespace quboprune {

/// When to stop: a point in time, the caller's wish, or that somebody reached the target.
class Deadline {
 public:
  /// In wall time; if `processors` is not 0, in the process's processor time divided by it.
  Deadline(double seconds, const Control& control, int processors = 0)
      : processors_(processors), begin_(now()), seconds_(seconds), control_(control) {}
  double elapsed() const { return now() - begin_; }
  double seconds() const { return seconds_; }
  bool expired() const { return done_.load(std::memory_order_relaxed) || stopped() || elapsed() >= seconds_; }
  /// Time enough to leave no half-tidied result, even where a search had too little to begin with.
  bool overdue() const {
    return done_.load(std::memory_order_relaxed) || stopped() || elapsed() >= 1.1 * seconds_;
  }
  bool stopped() const { return control_.stopped(); }
  void finish() { done_.store(true, std::memory_order_relaxed); }
  const Control& control() const { return control_; }

 private:
  double now() const {
    if (processors_ > 0) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC / processors_;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  int processors_;
  double begin_, seconds_;
  const Control& control_;
  std::atomic<bool> done_{false};
};

/// One piece of work: improve `start`. What it yields depends on nothing but these values (and, if the
/// deadline cuts it short, on when that was).
struct Task {
  Mask start;              ///< any mask: whoever improves it first makes it feasible
  bool fresh = true;       ///< start is random; otherwise bred from good solutions, so tread softly
  std::uint64_t seed = 1;  ///< of the task's own random numbers
  std::int64_t moves = 0;  ///< at most so many flips
  double target = -std::numeric_limits<double>::infinity();  ///< no need to go below this energy
  std::size_t keep = 1;                                      ///< how many solutions on the way are wanted
  int keep_distance = 1;                                     ///< the fewest entries in which they differ
};

struct Found {
  Mask x;                        ///< feasible; empty if no feasible point was found
  double energy = 0;             ///< in the improver's arithmetic (exact for integer problems)
  std::int64_t moves = 0;        ///< flips done
  std::vector<Solution> others;  ///< good feasible solutions met on the way, if task.keep > 1
};

/// A local search that turns a start into a good feasible solution. One object per thread: it may keep
/// state between tasks, as long as results don't depend on it.
class Improver {
 public:
  virtual ~Improver() = default;
  virtual Found improve(const Task& task, const Deadline& deadline) = 0;
};

}  // namespace quboprune
