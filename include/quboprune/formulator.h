#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quboprune/formulation.h"
#include "quboprune/kept_values.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/reconstruction.h"
#include "quboprune/target.h"

namespace quboprune {

struct FormulatorOptions {
  int measure_samples = 8;        ///< of the evaluator's, for `measured`; 0: all
  std::vector<Sample> samples{};  ///< that reconstruction is fitted on; empty: the evaluator's
  ReconstructionOptions reconstruction{};
  std::shared_ptr<KeptValues> kept{};  ///< what `measured` knows already, and adds to; nullptr: nothing
};

/// Makes every objective: those of formulate(), and the two that scores alone can't give, `measured` and
/// `reconstruction`. What those two need is found once, when first asked for.
class Formulator {
 public:
  /// Keeps references to groups, scores and evaluator.
  Formulator(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
             const Target& target, const FormulatorOptions& options = {}, const Control& control = {});

  /// Throws InputError as formulate() does.
  Formulation operator()(const std::string& objective, const FormulationOptions& options) const;

  /// What the objective predicts for a mask: the QUBO's energy, for `reconstruction` its error.
  double predicted(const Formulation& formulation, const Mask& mask) const;

 private:
  Formulation reconstruction(bool norms_last) const;

  const ChannelGroups& groups_;
  const Scores& scores_;
  const MaskEvaluator& evaluator_;
  Target target_;
  FormulatorOptions options_;
  Control control_;
  mutable std::vector<double> effects_;
  mutable std::unique_ptr<Reconstruction> reconstruction_;
};

}  // namespace quboprune
