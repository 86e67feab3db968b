#pragma once

#include <atomic>
#include <functional>
#include <string_view>

namespace quboprune {

/// How the library, which never prints, reports on long work.
///
/// stage: what is being done, a few words ("score", "refine"); done and total: in the stage's own unit
/// (total 0: not known); best: the best value so far, NaN where there is none. Solvers call it from their
/// threads, one at a time, which wait for it.
using ProgressCallback = std::function<void(std::string_view stage, double done, double total, double best)>;

/// How a caller follows and stops long work. Both parts are optional; a default Control does nothing.
/// Stopped work returns its best result so far and says that it was stopped; work that has none to return yet
/// (scoring, running a network) throws Stopped instead.
struct Control {
  ProgressCallback progress;
  const std::atomic<bool>* stop = nullptr;

  bool stopped() const { return stop != nullptr && stop->load(std::memory_order_relaxed); }
  void report(std::string_view stage, double done, double total, double best) const {
    if (progress) progress(stage, done, total, best);
  }
};

}  // namespace quboprune
