#pragma once

#include "prune/candidates.h"
#include "quboprune/formulator.h"
#include "quboprune/prune.h"

namespace quboprune {

/// Formulates a setting and solves it at the target, in rounds where it says so.
class SettingSolver {
 public:
  /// Keeps references to all but the options of the formulator.
  SettingSolver(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                const ChooseOptions& options, const Control& control);

  /// `seconds` for each QUBO. Gives the choice's objective, formulation, rounds, solved and mask. Throws
  /// InputError as formulate() and solve_at_target() do.
  Choice operator()(const Setting& setting, double seconds) const;

  /// What the choice's objective predicts for a mask: Formulator::predicted().
  double predicted(const Choice& choice, const Mask& mask) const;

 private:
  /// Empty where rounds came to nothing.
  Mask in_rounds(const Setting& setting, SolverOptions solver) const;

  const ChannelGroups& groups_;
  const Scores& scores_;
  const MaskEvaluator& evaluator_;
  const ChooseOptions& options_;
  const Control& control_;
  const Formulator formulator_;
};

}  // namespace quboprune
