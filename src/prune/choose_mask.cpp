#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "prune/rounding.h"
#include "quboprune/error.h"
#include "quboprune/prune.h"
#include "refine/fit_cost.h"

namespace quboprune {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

struct Setting {
  std::string objective;
  FormulationOptions options;
  std::string text;
};

std::string shown(const char* name, double value) {
  return fmt::format("{} {:g}", name, value);
}

/// What is tried of an objective. The first is its plainest form: for hybrid it is greedy Taylor's, so that a
/// tuned hybrid is never worse than that on the data that it was tuned on.
std::vector<Setting> settings_of(const std::string& objective, const ChooseOptions& o) {
  std::vector<Setting> result;
  const auto add = [&](FormulationOptions f, const std::string& text) {
    result.push_back({objective, f, objective + (text.empty() ? "" : ", " + text)});
  };
  if (!o.tune || o.target.removed <= 0) {
    add(o.formulation, "");
  } else if (objective == "hybrid") {
    for (const auto& [taylor, fisher] : {std::pair{1.0, 0.0}, {0.5, 0.5}, {0.0, 1.0}}) {
      for (double redundancy : {0.0, 0.03, 0.1, 0.3}) {
        FormulationOptions f = o.formulation;
        f.taylor = taylor;
        f.fisher = fisher;
        f.redundancy = redundancy;
        add(f, shown("alpha", taylor) + ", " + shown("beta", fisher) + ", " + shown("gamma", redundancy));
      }
    }
  } else if (objective == "gate-fisher" || objective == "gauss-newton") {
    for (double cross : {0.0, 0.03, 0.1, 0.3}) {
      FormulationOptions f = o.formulation;
      f.cross = cross;
      add(f, shown("cross", cross));
    }
  } else {
    add(o.formulation, "");
  }
  return result;
}

/// The groups whose setting is chosen on calibration data for "auto".
std::vector<Setting> all_settings(const ChooseOptions& o) {
  if (o.objective != "auto") return settings_of(o.objective, o);
  std::vector<Setting> result;
  for (const char* name : {"hybrid", "gauss-newton", "gate-fisher"}) {
    const auto some = settings_of(name, o);
    result.insert(result.end(), some.begin(), some.end());
  }
  return result;
}

class Chooser {
 public:
  Chooser(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
          const ChooseOptions& options, const Control& control)
      : groups_(groups), scores_(scores), evaluator_(evaluator), options_(options), control_(control) {}

  Choice run() {
    const auto start = Clock::now();
    const auto settings = all_settings(options_);
    const int count = static_cast<int>(allowance(
        groups_, options_.target.kind == Cost::filters ? options_.target
                                                       : Target{Cost::filters, options_.target.removed}));
    Choice best;
    double best_value = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < settings.size(); ++k) {
      if (control_.stopped() && k > 0) break;
      control_.report("solve", static_cast<double>(k), static_cast<double>(settings.size()),
                      std::numeric_limits<double>::quiet_NaN());
      Choice choice = solve_one(settings[k], count);
      if (settings.size() == 1) {
        best = std::move(choice);
        break;
      }
      const double value = evaluator_.value(choice.mask);
      tried_.emplace_back(settings[k].text, evaluator_.metric(value));
      if (value < best_value || k == 0) {
        best_value = value;
        best = std::move(choice);
      }
    }
    best.tried = tried_;
    best.solve_seconds = seconds_since(start);
    best.start = best.best = std::numeric_limits<double>::quiet_NaN();
    if (options_.refine != "none") refine(best);
    return best;
  }

 private:
  Choice solve_one(const Setting& setting, int count) const {
    Choice choice;
    choice.objective = setting.objective;
    choice.formulation = formulate(setting.objective, groups_, scores_, setting.options, count);
    choice.solved = solve_at_target(choice.formulation, groups_, options_.target, options_.solver,
                                    options_.capacity, control_);
    if (options_.round_to > 1) {
      for (auto& solution : choice.solved.pool) {
        solution.x =
            rounded(solution.x, choice.formulation.qubo, groups_, options_.target, options_.round_to);
        solution.energy = choice.formulation.qubo.energy(solution.x);
      }
    }
    choice.mask = choice.solved.pool.front().x;
    return choice;
  }

  MaskConstraint constraint(const Choice& choice, const std::vector<std::int8_t>& fixed) const {
    MaskConstraint c;
    const bool rounded_counts = options_.round_to > 1;
    if (options_.target.kind == Cost::filters && !rounded_counts) {
      c.kind = MaskConstraint::Kind::exactly;
      c.count = kept_count(choice.mask);
      return c;
    }
    const auto fitter = std::make_shared<CostFitter>(choice.formulation.qubo, groups_, options_.target.kind,
                                                     allowance(groups_, options_.target), fixed);
    c.repair = [this, fitter, &qubo = choice.formulation.qubo, rounded_counts](Mask& mask) {
      if (!rounded_counts) return fitter->fit(mask);
      mask = rounded(mask, qubo, groups_, options_.target, options_.round_to);
      return true;
    };
    return c;
  }

  void refine(Choice& choice) const {
    SearchOptions search = options_.search;
    search.method = options_.refine;
    const auto guards = guard_layers(groups_, choice.formulation.importance);
    search.fixed = guards;
    // A guard that the seed itself doesn't need (it keeps another channel of that layer) stays a guard: the
    // seed keeps it or isn't feasible.
    for (std::size_t g = 0; g < guards.size(); ++g) {
      if (guards[g] == 1 && choice.mask[g] == 0) search.fixed[g] = -1;
    }
    search.prior = choice.formulation.importance;
    std::vector<Mask> seeds{choice.mask};
    for (const auto& solution : choice.solved.pool) {
      if (solution.x != choice.mask) seeds.push_back(solution.x);
    }
    const MaskObjective objective = [this](std::span<const Mask> masks) { return evaluator_(masks); };
    choice.search =
        search_masks(objective, groups_.size(), constraint(choice, search.fixed), seeds, search, control_);
    choice.start = evaluator_.metric(evaluator_.value(choice.mask));
    choice.best = evaluator_.metric(choice.search.value);
    choice.mask = choice.search.best;
    choice.refined = true;
  }

  const ChannelGroups& groups_;
  const Scores& scores_;
  const MaskEvaluator& evaluator_;
  const ChooseOptions& options_;
  const Control& control_;
  std::vector<std::pair<std::string, double>> tried_;
};

}  // namespace

Choice choose_mask(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                   const ChooseOptions& options, const Control& control) {
  return Chooser(groups, scores, evaluator, options, control).run();
}

}  // namespace quboprune
