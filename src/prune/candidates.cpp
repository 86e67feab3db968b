#include "prune/candidates.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace quboprune {
namespace {

std::string shown(const char* name, double value) {
  return fmt::format("{} {:g}", name, value);
}

std::vector<Setting> settings_of(const std::string& objective, const ChooseOptions& o) {
  std::vector<Setting> result;
  const auto add_in_rounds = [&](int rounds, const FormulationOptions& f, const std::string& text) {
    const std::string in_rounds = rounds > 1 ? fmt::format(", {} rounds", rounds) : "";
    result.push_back(
        {objective, f, rounds, objective + (text.empty() ? "" : ", " + text) + in_rounds, false});
  };
  const auto add = [&](const FormulationOptions& f, const std::string& text) {
    add_in_rounds(o.rounds.asked, f, text);
  };
  const int rounds_tried = o.rounds.asked == 1 ? o.rounds.tried : 1;
  const Objective& traits = objective_named(objective);
  if (!o.tune) {
    add(o.formulation, "");
  } else if (traits.weights == Objective::Weights::hybrid) {
    FormulationOptions plain = o.formulation;
    plain.taylor = 1;
    plain.fisher = plain.redundancy = 0;
    add(plain, "greedy Taylor");  // over a count the same as gamma 0; over a cost not
    result.back().greedy = true;
    for (const auto& [taylor, fisher] : {std::pair{1.0, 0.0}, {0.5, 0.5}, {0.0, 1.0}}) {
      for (double redundancy : {0.0, 0.1, 0.4}) {
        FormulationOptions f = o.formulation;
        f.taylor = taylor;
        f.fisher = fisher;
        f.redundancy = redundancy;
        add(f, shown("alpha", taylor) + ", " + shown("beta", fisher) + ", " + shown("gamma", redundancy));
      }
    }
    if (rounds_tried > 1) {
      FormulationOptions f = o.formulation;
      f.taylor = f.fisher = 0.5;
      f.redundancy = 0.1;
      add_in_rounds(rounds_tried, f, "alpha 0.5, beta 0.5, gamma 0.1");
    }
  } else if (traits.weights == Objective::Weights::cross) {
    for (double cross : {0.0, 0.05, 0.2}) {
      FormulationOptions f = o.formulation;
      f.cross = cross;
      add(f, shown("cross", cross));
    }
    if (rounds_tried > 1 && !traits.measures_masks) {  // single removals cost too much to repeat
      FormulationOptions f = o.formulation;
      f.cross = 0.05;
      add_in_rounds(rounds_tried, f, shown("cross", f.cross));
    }
  } else {
    add(o.formulation, "");
  }
  return result;
}

/// Does a have lower values than b, by more than the standard error of the mean difference?
bool clearly_better(const std::vector<double>& a, const std::vector<double>& b,
                    const std::vector<std::string>& scenes) {
  const double gain = mean(b) - mean(a);
  if (!(gain > 0)) return false;
  if (std::isinf(gain)) return true;  // b broke on some sample
  if (a.size() != b.size() || a.size() < 2) return true;
  const bool known =
      scenes.size() == a.size() && std::ranges::count(scenes, scenes.front()) < std::ssize(scenes);
  return gain > paired_difference(b, a, known ? scenes : std::vector<std::string>{}).error;
}

}  // namespace

std::vector<Setting> settings_for(const ChooseOptions& o, bool shrinks_norms) {
  if (o.objective != "auto") return settings_of(o.objective, o);
  std::vector<Setting> result;
  if (shrinks_norms) {
    FormulationOptions spared = o.formulation;
    spared.norms_last = true;
    result.push_back({"reconstruction", spared, o.rounds.asked, "reconstruction, norms last", false});
  }
  for (const char* name : {"taylor", "hybrid", "gauss-newton", "reconstruction"}) {
    const auto some = settings_of(name, o);
    result.insert(result.end(), some.begin(), some.end());
  }
  return result;
}

std::size_t best_or_plainest(const std::vector<std::vector<double>>& cut,
                             const std::vector<std::vector<double>>& after,
                             const std::vector<std::string>& scenes) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < after.size(); ++k) {
    if (clearly_better(cut[k], cut[0], scenes) && clearly_better(after[k], after[0], scenes) &&
        mean(after[k]) < mean(after[best]))
      best = k;
  }
  return best;
}

std::vector<std::size_t> not_clearly_worse(const std::vector<std::vector<double>>& values,
                                           const std::vector<std::size_t>& among,
                                           const std::vector<std::string>& scenes) {
  const std::size_t best = *std::min_element(among.begin(), among.end(), [&](std::size_t a, std::size_t b) {
    return mean(values[a]) < mean(values[b]);
  });
  std::vector<std::size_t> result;
  for (std::size_t k : among) {
    if (k == best || !clearly_better(values[best], values[k], scenes)) result.push_back(k);
  }
  return result;
}

bool nearly_as_good(const std::vector<double>& other, const std::vector<double>& one, Metric metric) {
  constexpr double kNothing = 1.02;
  const auto error = [metric](const std::vector<double>& values) {
    const double value = mean(values);
    if (metric == Metric::psnr) return std::pow(10, value / 10);
    return metric == Metric::ssim || metric == Metric::top1 ? 1 + value : value;
  };
  return error(other) <= kNothing * error(one);
}

}  // namespace quboprune
