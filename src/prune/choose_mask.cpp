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
#include "multiples/rounding.h"
#include "prune/candidates.h"
#include "prune/refinement.h"
#include "prune/setting_solver.h"
#include "prune/trust_meter.h"
#include "quboprune/error.h"
#include "quboprune/prune.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using Clock = std::chrono::steady_clock;

/// Multiples of channels that auto tries, the first that will do is taken: by 8 most of the time is saved
/// that odd numbers waste, by 4 half of it (docs/experiments.md).
constexpr std::array kEven{8, 4};

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
  Chooser(const ChannelGroups& groups, const Scores& scores, const Evidence& evidence,
          const ChooseOptions& options, const Control& control)
      : groups_(groups),
        evidence_(evidence),
        evaluator_(evidence.settings),
        options_(options),
        phases_(control),
        control_(phases_.control()),
        kept_(options.formulator.kept ? options.formulator.kept : std::make_shared<KeptValues>()),
        solver_(groups, scores, evidence.settings, options, control_) {
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
      refine(best, groups_, evidence_, best.round_to > 1 ? &rounders_.at(best.round_to) : nullptr, options_,
             control_);
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
      if (settings.size() > 1)
        control_.report("settings", static_cast<double>(all.size()), static_cast<double>(settings.size()),
                        std::numeric_limits<double>::quiet_NaN());
      // A setting among several: what it costs is shared.
      const double seconds = options_.solver.seconds / (settings.size() > 1 ? 4 : 1);
      all.push_back({solver_(setting, seconds), named(setting), {}});
      if (options_.round_to > 1) round(all.back().choice, options_.round_to);
      if (alone) return std::move(all.front());
      const Measured measured = measure(all.back().choice.mask);
      after.push_back(measured.after);
      cut.push_back(measured.cut);
      all.back().values = after.back();
      tried_.emplace_back(setting.text, evaluator_.metric(mean(after.back())));
    }
    return std::move(all[best_or_plainest(cut, after, scene_of_each(evaluator_.samples()))]);
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
      try {
        round(even.choice, multiple);
      } catch (const UnmetTarget&) {
        continue;  // the beam that attainable() went by kept other ways
      }
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
    return compared_ ? lower_is_better(evidence_.as_shipped({&mask, 1}).front(), evaluator_.judge().metric)
                     : measure(mask).after;
  }

  /// The solver's masks in multiples.
  void round(Choice& choice, int multiple) const {
    const Rounder& rounder = rounders_.at(multiple);
    const Qubo& qubo = choice.formulation.qubo;
    change_pool(
        choice.solved, qubo, [&](Mask& mask) { mask = rounder.rounded(mask, qubo); },
        fmt::format("rounded to multiples of {}", multiple));
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
    equal =
        not_clearly_worse(values, equal, compared_ ? evidence_.scenes : scene_of_each(evaluator_.samples()));
    const Trust trust = equal.size() > 1 ? trust_in(found) : Trust{};
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

  Trust trust_in(const std::vector<Candidate>& found) const {
    std::vector<Predictor> objectives;
    for (const auto& candidate : found)
      objectives.push_back({candidate.name, candidate.choice.mask,
                            [&](const Mask& mask) { return solver_.predicted(candidate.choice, mask); }});
    return measured_trust(groups_, evaluator_, objectives, options_, *kept_, control_);
  }

  /// Puts values as they would ship in the place of the evaluator's; false where there are none.
  bool compare(const std::vector<Candidate>& found, std::vector<std::vector<double>>& values) {
    if (!evidence_.as_shipped) return false;
    std::map<std::string, std::size_t> places;  // several objectives come to the same mask
    std::vector<Mask> masks;
    for (const auto& candidate : found) {
      if (places.try_emplace(text_of(candidate.choice.mask), masks.size()).second)
        masks.push_back(candidate.choice.mask);
    }
    const auto shipped = evidence_.as_shipped(masks);
    if (shipped.front().empty()) return false;
    for (std::size_t k = 0; k < found.size(); ++k) {
      values[k] =
          lower_is_better(shipped[places.at(text_of(found[k].choice.mask))], evaluator_.judge().metric);
      tried_.emplace_back(found[k].name + ", as it would ship", evaluator_.metric(mean(values[k])));
    }
    return true;
  }

  const ChannelGroups& groups_;
  const Evidence& evidence_;
  const MaskEvaluator& evaluator_;  // of settings
  const ChooseOptions& options_;
  Phases phases_;
  const Control& control_;
  const std::shared_ptr<KeptValues> kept_;
  const SettingSolver solver_;
  std::map<int, Rounder> rounders_;  // by the multiples that are asked for, or may be taken
  std::vector<std::pair<std::string, double>> tried_;
  bool compared_ = false;  // as they would ship, not by the evaluator
};

}  // namespace

Choice choose_mask(const ChannelGroups& groups, const Scores& scores, const Evidence& evidence,
                   const ChooseOptions& options, const Control& control) {
  return Chooser(groups, scores, evidence, options, control).run();
}

}  // namespace quboprune
