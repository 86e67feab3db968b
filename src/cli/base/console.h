#pragma once

#include <atomic>

#include "quboprune/progress.h"

namespace quboprune {

/// A progress bar on stderr for what takes longer than two seconds: redrawn in place on a terminal, a plain
/// line every ten seconds elsewhere.
ProgressCallback console_progress();

/// Takes the bar away, if one is drawn.
void finish_progress();

/// Catches SIGINT and SIGTERM from now on. True after the first Ctrl-C (or SIGTERM); the second one ends the
/// process at once.
const std::atomic<bool>& stop_on_signals();

/// While one is there the work goes on after the first Ctrl-C, with something that is short and without which
/// the rest would be worth little: the second Ctrl-C stops that, and the third ends the process.
class Finishing {
 public:
  Finishing();
  ~Finishing();
  Finishing(const Finishing&) = delete;
  Finishing& operator=(const Finishing&) = delete;
  /// True after the second Ctrl-C.
  const std::atomic<bool>& stop() const;
};

}  // namespace quboprune
