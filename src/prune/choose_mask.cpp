#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/clock.h"
#include "core/phases.h"
#include "core/text.h"
#include "prune/calibration_parts.h"
#include "prune/candidates.h"
#include "prune/refinement.h"
#include "prune/rounding.h"
#include "prune/rounds.h"
#include "quboprune/error.h"
#include "quboprune/prune.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using Clock = std::chrono::steady_clock;

/// Multiples of channels that auto tries, the first that will do is taken: by 8 most of the time is saved
/// that odd numbers waste, by 4 half of it (docs/experiments.md).
constexpr std::array kEven{8, 4};

/// A linear objective over a count needs no search.
bool is_linear(const Qubo& qubo) {
  return qubo.pairs().empty() && qubo.dense_blocks().empty() && qubo.low_rank().empty();
}

SolverResult given(const Formulation& f, const std::string& method) {
  SolverResult result;
  result.pool.push_back({f.mask, f.qubo.energy(f.mask)});
  result.method = method;
  result.reason = "done";
  return result;
}

/// An objective's settings come one behind the other.
std::vector<std::vector<Setting>> by_objective(const std::vector<Setting>& settings) {
  std::vector<std::vector<Setting>> result;
  for (const auto& setting : settings) {
    if (result.empty() || result.back().front().objective != setting.objective) result.emplace_back();
    result.back().push_back(setting);
  }
  return result;
}

class Chooser {
 public:
  Chooser(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
          const ChooseOptions& options, const Control& control)
      : groups_(groups),
        scores_(scores),
        evaluator_(evaluator),
        options_(options),
        phases_(control),
        control_(phases_.control()),
        kept_(options.formulator.kept ? options.formulator.kept : std::make_shared<KeptValues>()),
        formulator_(groups, scores, evaluator, options.target, options.formulator, control_) {
    if (options.round_to > 1)
      rounders_.try_emplace(options.round_to, groups, options.target, options.round_to);
    if (!may_round()) return;
    for (const int multiple : kEven) {
      if (!EvenCounts::quick(groups, multiple)) continue;
      Rounder rounder(groups, options.target, multiple, GivesWay::multiple);
      if (rounder.attainable()) rounders_.emplace(multiple, std::move(rounder));
    }
  }

  Choice run() {
    const auto start = Clock::now();
    const auto objectives = by_objective(settings_for(options_, may_shrink_norms()));
    const bool alone = objectives.size() == 1 && objectives.front().size() == 1;
    std::vector<Candidate> found;  // the best of each objective
    for (const auto& settings : objectives) {
      if (control_.stopped() && !found.empty()) break;
      if (objectives.size() > 1)
        phases_.enter(fmt::format("objective {} of {}, {}", found.size() + 1, objectives.size(),
                                  named(settings.front())));
      found.push_back(best_of(settings, alone));
    }
    phases_.enter("");
    Choice best = found.size() == 1 ? std::move(found.front().choice) : best_objective(found);
    best.tried = tried_;
    bound(best);
    best.solve_seconds = seconds_since(start);
    if (options_.refine != "none")
      refine(best, groups_, options_.refine_by ? *options_.refine_by : evaluator_,
             best.round_to > 1 ? &rounders_.at(best.round_to) : nullptr, options_, control_);
    return best;
  }

 private:
  struct Candidate {
    Choice choice;
    std::string name;            ///< of the objective, and of what sets it apart from another of that name
    std::vector<double> values;  ///< by sample, lower is better
  };
  struct Measured {
    std::vector<double> cut, after;  ///< by sample, lower is better
  };

  /// How far the QUBO's solution may be from its optimum: a proven bound, for counts of filters. The mask
  /// stays the one that was measured.
  void bound(Choice& choice) const {
    if (options_.target.kind != Cost::filters || options_.round_to > 1 ||
        choice.formulation.solving == Solving::given || control_.stopped())
      return;
    const Constraint exactly{Constraint::Kind::exactly, static_cast<double>(kept_count(choice.mask)), {}, {}};
    choice.solved.bound =
        lower_bound(choice.formulation.qubo, exactly, choice.mask, options_.solver, control_);
  }

  std::vector<double> kept_values(const std::string& question, const Mask& mask,
                                  const std::function<Graph()>& network) const {
    return kept_->get(question, mask, control_, [&] {
      return lower_is_better(evaluator_.score(network()).samples, evaluator_.judge().metric);
    });
  }

  /// A mask's values as cut and after the stage that follows; many settings come to the same mask.
  Measured measure(const Mask& mask) const {
    Measured m;
    m.cut = kept_values("as cut", mask, [&] { return slice(groups_, mask); });
    m.after = evaluator_.options().refit
                  ? kept_values("after the quick repair", mask, [&] { return evaluator_.cut(mask); })
                  : m.cut;
    return m;
  }

  Candidate best_of(const std::vector<Setting>& settings, bool alone) {
    std::vector<Candidate> all;
    std::vector<std::vector<double>> cut, after;
    for (const auto& setting : settings) {
      if (control_.stopped() && !all.empty()) break;
      control_.report("settings", static_cast<double>(all.size()), static_cast<double>(settings.size()),
                      std::numeric_limits<double>::quiet_NaN());
      all.push_back({solve_one(setting, settings.size()), named(setting), {}});
      if (alone) return std::move(all.front());
      const Measured measured = measure(all.back().choice.mask);
      after.push_back(measured.after);
      cut.push_back(measured.cut);
      all.back().values = after.back();
      tried_.emplace_back(setting.text, evaluator_.metric(mean(after.back())));
    }
    return std::move(all[best_or_plainest(cut, after)]);
  }

  bool may_shrink_norms() const {
    const auto means = groups_.in_means();
    return std::ranges::find(means, true) != means.end();
  }

  static std::string named(const Setting& setting) {
    return setting.objective + (setting.options.norms_last ? ", norms last" : "");
  }

  /// Nothing was asked for, and auto does as it thinks best.
  bool may_round() const { return options_.round_to == 0 && options_.objective == "auto"; }

  /// Multiples of channels instead, of the first of kEven that at most half as many layers miss, that leaves
  /// no more of the target unused and costs next to nothing.
  void even_out(Candidate& candidate) {
    constexpr double kUnused = 1e-3;
    const auto of = [&](const Mask& mask) { return groups_.cost().value(options_.target.kind, mask); };
    const double unused = kUnused * of(Mask(candidate.choice.mask.size(), 1));
    for (const int multiple : kEven) {
      if (!rounders_.contains(multiple) || control_.stopped()) continue;
      phases_.enter(fmt::format("multiples of {}", multiple));
      Candidate even{candidate.choice, candidate.name, {}};
      round(even.choice, multiple);
      const Mask& mask = even.choice.mask;
      // The layer that gives way to a count, or what can't be rounded, may be all there is.
      if (2 * uneven_layers(groups_, mask, multiple) >
              uneven_layers(groups_, candidate.choice.mask, multiple) ||
          mask == candidate.choice.mask || of(mask) < of(candidate.choice.mask) - unused)
        continue;
      even.values = as_it_ships(mask);
      if (even.values.size() != candidate.values.size()) return;  // stopped
      tried_.emplace_back(fmt::format("{}, multiples of {}", even.name, multiple),
                          evaluator_.metric(mean(even.values)));
      if (!nearly_as_good(even.values, candidate.values, evaluator_.judge().metric)) continue;
      candidate = std::move(even);
      return;
    }
  }

  /// By what objectives were compared by.
  std::vector<double> as_it_ships(const Mask& mask) {
    return compared_ ? lower_is_better(options_.compare({&mask, 1}).front(), evaluator_.judge().metric)
                     : measure(mask).after;
  }

  /// The solver's masks in multiples.
  void round(Choice& choice, int multiple) const {
    const Rounder& rounder = rounders_.at(multiple);
    for (auto& solution : choice.solved.pool) {
      solution.x = rounder.rounded(solution.x, choice.formulation.qubo);
      solution.energy = choice.formulation.qubo.energy(solution.x);
    }
    choice.mask = choice.solved.pool.front().x;
    choice.round_to = multiple;
  }

  /// The best by the values of masks as they would ship, where they can be had. Between those that values
  /// can't tell apart the trust meter decides: an objective whose energies follow the true values is right
  /// for a reason that holds on other scenes too.
  Choice best_objective(std::vector<Candidate>& found) {
    std::vector<std::vector<double>> values;
    for (const auto& candidate : found) values.push_back(candidate.values);
    std::vector<std::size_t> equal(found.size());
    std::iota(equal.begin(), equal.end(), std::size_t{0});
    compared_ = compare(found, values);
    equal = not_clearly_worse(values, equal);
    const Trust trust = equal.size() > 1 ? measure_trust(found) : Trust{};
    const auto correlation = [&](std::size_t k) {
      const double r = trust.correlations.empty() ? 0 : trust.correlations[k].second;
      return std::isnan(r) ? -1.0 : r;
    };
    const std::size_t taken = *std::min_element(equal.begin(), equal.end(), [&](auto a, auto b) {
      return std::pair(-correlation(a), mean(values[a])) < std::pair(-correlation(b), mean(values[b]));
    });
    Candidate best{std::move(found[taken].choice), found[taken].name, std::move(values[taken])};
    if (may_round()) even_out(best);
    phases_.enter("");
    Choice choice = std::move(best.choice);
    choice.trust = trust;
    choice.reason =
        fmt::format("{}{}{} measured {} {:.4f} on calibration {}", best.name,
                    choice.rounds > 1 ? fmt::format(" in {} rounds", choice.rounds) : "",
                    choice.round_to > 1 ? fmt::format(" in multiples of {}", choice.round_to) : "",
                    name_of(evaluator_.judge().metric), evaluator_.metric(mean(best.values)),
                    compared_ ? "data, as it would ship" : "data");
    choice.reason += trust.correlations.empty() || std::isnan(trust.correlations[taken].second)
                         ? fmt::format(", the best of {} objectives", found.size())
                         : fmt::format(
                               "; of the {} objectives that this can't tell apart its energies follow the "
                               "true values best (rank correlation {:.2f})",
                               equal.size(), correlation(taken));
    return choice;
  }

  /// Puts values as they would ship in the place of the evaluator's; false where there are none.
  bool compare(const std::vector<Candidate>& found, std::vector<std::vector<double>>& values) {
    if (!options_.compare) return false;
    std::map<std::string, std::size_t> places;  // several objectives come to the same mask
    std::vector<Mask> masks;
    for (const auto& candidate : found) {
      if (places.try_emplace(text_of(candidate.choice.mask), masks.size()).second)
        masks.push_back(candidate.choice.mask);
    }
    const auto shipped = options_.compare(masks);
    if (shipped.front().empty()) return false;
    for (std::size_t k = 0; k < found.size(); ++k) {
      values[k] =
          lower_is_better(shipped[places.at(text_of(found[k].choice.mask))], evaluator_.judge().metric);
      tried_.emplace_back(found[k].name + ", as it would ship", evaluator_.metric(mean(values[k])));
    }
    return true;
  }

  /// Empty where it was stopped: a few masks' ranks say nothing.
  Trust measure_trust(const std::vector<Candidate>& found) const {
    Trust trust;
    if (control_.stopped()) return trust;
    std::vector<Mask> seeds;
    for (const auto& candidate : found) seeds.push_back(candidate.choice.mask);
    const auto masks =
        trust_masks(groups_, options_.target, seeds, options_.trust_masks, options_.formulation.seed);
    const MaskEvaluator few(groups_, thinned(evaluator_.samples(), options_.trust_samples),
                            evaluator_.judge(), evaluator_.options(), control_);
    for (std::size_t k = 0; k < masks.size() && !control_.stopped(); ++k) {
      trust.values.push_back(kept_
                                 ->get(few.options().refit ? "on a few, after the quick repair" : "on a few",
                                       masks[k], control_, [&] { return std::vector{few.value(masks[k])}; })
                                 .front());
      control_.report("trust", static_cast<double>(k + 1), static_cast<double>(masks.size()),
                      std::numeric_limits<double>::quiet_NaN());
    }
    if (control_.stopped() || masks.empty()) return {};
    for (const auto& candidate : found) {
      auto& energies = trust.energies.emplace_back();
      for (std::size_t k = 0; k < trust.values.size(); ++k)
        energies.push_back(formulator_.predicted(candidate.choice.formulation, masks[k]));
      trust.correlations.emplace_back(candidate.name, spearman(energies, trust.values));
    }
    return trust;
  }

  Choice solve_one(const Setting& setting, std::size_t settings) const {
    Choice choice;
    choice.objective = setting.objective;
    choice.formulation = formulated(formulator_, setting, options_.target);
    SolverOptions solver = options_.solver;
    if (settings > 1) solver.seconds /= 4;  // a setting among several: what it costs is shared
    if (setting.options.rounds > 1) {
      if (Mask found = in_rounds(setting, solver); !found.empty()) {
        choice.formulation.mask = std::move(found);
        choice.formulation.solving = Solving::given;
        choice.rounds = setting.options.rounds;
      }
    }
    choice.solved = choice.rounds > 1 ? given(choice.formulation, "rounds")
                                      : solved(choice.formulation, groups_, options_.target, solver);
    choice.mask = choice.solved.pool.front().x;
    if (options_.round_to > 1) round(choice, options_.round_to);
    return choice;
  }

  Formulation formulated(const Formulator& formulator, const Setting& setting, const Target& target) const {
    Formulation f = formulator(setting.objective, setting.options);
    const bool linear = setting.greedy || (target.kind == Cost::filters && is_linear(f.qubo));
    if (linear && f.solving == Solving::search) f.solving = Solving::sorting;
    return f;
  }

  SolverResult solved(const Formulation& f, const ChannelGroups& groups, const Target& target,
                      const SolverOptions& solver) const {
    return f.solving == Solving::given
               ? given(f, "elimination")
               : solve_at_target(f, groups, target, solver, options_.capacity, control_);
  }

  Mask in_rounds(const Setting& setting, const SolverOptions& solver) const {
    SolverOptions each = solver;
    each.seconds /= setting.options.rounds;
    RoundsOptions rounds = options_.rounds;
    if (rounds.samples.empty()) rounds.samples = evaluator_.samples();
    rounds.score.similarity = setting.objective == "hybrid";
    rounds.score.weight_gradients = setting.objective == "taylor-weight";
    FormulatorOptions of_a_round = options_.formulator;
    of_a_round.kept = nullptr;  // its groups are others
    const auto choose = [&](const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                            const Target& target) {
      const Formulator formulator(groups, scores, evaluator, target, of_a_round, control_);
      return solved(formulated(formulator, setting, target), groups, target, each).pool.front().x;
    };
    return mask_in_rounds(groups_, scores_, evaluator_, options_.target, setting.options.rounds, rounds,
                          choose, control_);
  }

  const ChannelGroups& groups_;
  const Scores& scores_;
  const MaskEvaluator& evaluator_;
  const ChooseOptions& options_;
  Phases phases_;
  const Control& control_;
  const std::shared_ptr<KeptValues> kept_;
  const Formulator formulator_;
  std::map<int, Rounder> rounders_;  // by the multiples that are asked for, or may be taken
  std::vector<std::pair<std::string, double>> tried_;
  bool compared_ = false;  // as they would ship, not by the evaluator
};

}  // namespace

Choice choose_mask(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                   const ChooseOptions& options, const Control& control) {
  return Chooser(groups, scores, evaluator, options, control).run();
}

}  // namespace quboprune
