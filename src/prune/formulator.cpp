#include "quboprune/formulator.h"

#include "quboprune/measured.h"

namespace quboprune {

Formulator::Formulator(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                       const Target& target, const FormulatorOptions& options, const Control& control)
    : groups_(groups),
      scores_(scores),
      evaluator_(evaluator),
      target_(target),
      options_(options),
      control_(control) {
  if (!options_.kept) options_.kept = std::make_shared<KeptValues>();
}

Formulation Formulator::operator()(const std::string& objective, const FormulationOptions& options) const {
  if (objective == "reconstruction") return reconstruction(options.norms_last);
  if (objective == "measured") {
    if (effects_.empty())
      effects_ = measured_effects(groups_, evaluator_, options_.measure_samples, *options_.kept, control_);
    return formulate_measured(effects_, scores_, options);
  }
  const Target as_filters{Cost::filters, target_.removed};
  return formulate(objective, groups_, scores_, options, static_cast<int>(allowance(groups_, as_filters)));
}

Formulation Formulator::reconstruction(bool norms_last) const {
  if (!reconstruction_) {
    const auto& samples = options_.samples.empty() ? evaluator_.samples() : options_.samples;
    reconstruction_ = std::make_unique<Reconstruction>(groups_, samples, evaluator_.judge(), scores_,
                                                       options_.reconstruction, control_);
  }
  const Elimination found = reconstruction_->eliminate(target_, control_, norms_last);
  Formulation f;
  f.objective = "reconstruction";
  f.qubo = Qubo(groups_.size());
  for (int g = 0; g < groups_.size(); ++g) f.qubo.add_linear(g, -found.marginal[static_cast<std::size_t>(g)]);
  f.importance = found.marginal;
  f.solving = Solving::given;
  f.mask = found.mask;
  return f;
}

double Formulator::predicted(const Formulation& formulation, const Mask& mask) const {
  if (formulation.objective == "reconstruction" && reconstruction_) return reconstruction_->error(mask);
  return formulation.qubo.energy(mask);
}

}  // namespace quboprune
