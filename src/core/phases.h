#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "quboprune/progress.h"

namespace quboprune {

/// Longer work in phases: what is reported through control() comes as "phase: stage", so that who watches
/// knows of which part of the whole it is.
class Phases {
 public:
  explicit Phases(const Control& outer) : control_{{}, outer.stop} {
    if (!outer.progress) return;
    control_.progress = [this, tell = outer.progress](std::string_view stage, double done, double total,
                                                      double best) {
      tell(phase_.empty() ? std::string(stage) : phase_ + ": " + std::string(stage), done, total, best);
    };
  }
  Phases(const Phases&) = delete;
  Phases& operator=(const Phases&) = delete;

  /// Empty: stages are told as they are.
  void enter(std::string phase) { phase_ = std::move(phase); }
  const Control& control() const { return control_; }

 private:
  std::string phase_;
  Control control_;
};

}  // namespace quboprune
