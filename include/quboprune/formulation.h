#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/mask.h"
#include "quboprune/qubo.h"
#include "quboprune/scores.h"

namespace quboprune {

/// How an objective is made from scores. docs/experiments.md says which settings commands try instead of
/// these defaults, and what came of them.
struct FormulationOptions {
  double taylor = 1;        ///< hybrid's α, on Taylor scores scaled to mean 1 over all groups
  double fisher = 0;        ///< hybrid's β, on Fisher scores scaled likewise
  double redundancy = 0.1;  ///< hybrid's γ, in units in which a group's similarities sum to 1 on average
  bool centred = false;     ///< similarity is Pearson's correlation instead of the cosine
  double cross =
      0.1;  ///< gate-fisher, gauss-newton, measured: what is left of cross terms (1: full, 0: the diagonal)
  double penalty = 1;       ///< l1-qubo's λ, in units of the mean l1 norm
  bool per_layer = false;   ///< greedy ones alone: importances divided by their layer's mean. Off, as it
                            ///< wrecked a global choice in our pilot
  bool norms_last = false;  ///< reconstruction alone: see Reconstruction::eliminate()
  std::uint64_t seed = 1;   ///< of "random"
};

/// How a formulation's mask at the target is found.
enum class Solving {
  search,     ///< by a solver that holds the target
  sorting,    ///< it is linear, or taken as such: the least important go first
  unbounded,  ///< it carries its own penalty for the count (l1-qubo): solved without a constraint
  given       ///< it comes with its mask at the target
};

/// A QUBO over the groups (x = 1: kept, to be minimised) and what it was made of.
struct Formulation {
  std::string objective;
  Qubo qubo{1};
  std::vector<double> importance;  ///< the linear part alone: what removing each group costs by itself
  Solving solving = Solving::search;
  /// Where solving is `given` (reconstruction's elimination, rounds): the mask at the target; the QUBO is
  /// what it looks like from there, one group at a time. Otherwise empty.
  Mask mask{};
};

/// What is to be known of an objective besides how it is made.
struct Objective {
  enum class Weights {
    none,
    hybrid,  ///< taylor, fisher and redundancy of FormulationOptions
    cross    ///< cross of FormulationOptions
  };
  std::string_view name;
  Weights weights = Weights::none;
  bool runs_network = false;      ///< scores alone can't tell: it takes a Formulator, the others formulate()
  bool measures_masks = false;    ///< it asks for the metric of cut networks
  bool wants_count = false;       ///< it is another one for each target
  bool similarity = false;        ///< it reads Scores::similarity
  bool weight_gradients = false;  ///< it reads Scores::taylor_weight
};

/// Of all of them, in the order of help texts.
std::vector<std::string> objective_names();
/// Throws InputError, with all names, for another.
const Objective& objective_named(std::string_view name);

/// hybrid (the paper's idea, our scaling): -Σ I_g x_g + γ Σ_{g<h} |S_gh| x_g x_h, I = α·t̂ + β·f̂.
/// gate-fisher, gauss-newton (ours): ½ u'(G'G/n)u with u = 1 - x, off-diagonal part times `cross`; low rank,
/// never formed. l1-qubo: -Σ ‖w_g‖₁ x_g + λ(Σ x_g - K)², the baseline with a penalty; `count` is its K.
/// taylor, taylor-weight, fisher, l1, l2, lamp, random: -Σ I_g x_g, greedy; lamp's I is the share of a
/// group's weights (filters, and what reads their channels) in its layer's squares without the smaller groups
/// (Lee et al. 2021, arXiv 2010.07611, there for single weights). Without labels gate-fisher is
/// gauss-newton and taylor-weight is taylor. Sources: docs/method.md.
/// Throws InputError for another name, one whose scores are missing, or one that needs a Formulator.
Formulation formulate(const std::string& objective, const ChannelGroups& groups, const Scores& scores,
                      const FormulationOptions& options, int count);

/// `measured` (ours; E = Σ e_g u_g where no cross terms are left): the true effects of single removals
/// (measured_effects()) as the diagonal, and between groups Gauss-Newton's correlations: ½ u'(E'E/n)u with u
/// = 1 - x, E the probes' gradients with each column scaled so that the diagonal is the effects; off-diagonal
/// part times `cross`.
Formulation formulate_measured(const std::vector<double>& effects, const Scores& scores,
                               const FormulationOptions& options);

}  // namespace quboprune
