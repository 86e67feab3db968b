#include "multiples/step_search.h"

#include <algorithm>
#include <limits>

namespace quboprune {

StepSearch::StepSearch(const CostModel& cost, Cost kind, const EvenCounts& counts,
                       const std::vector<std::vector<CountChoice>>& choices)
    : model_(cost), kind_(kind), counts_(counts), choices_(choices) {
  sizes_ = cost.sizes(Mask(static_cast<std::size_t>(cost.groups()), 1));
  cost_now_ = cost.value(kind, sizes_);
  for (const auto& part : choices) chosen_.push_back(part.size() - 1);
  // All groups of a bundle lie alike on every axis: the first speaks for all.
  std::vector<std::vector<std::pair<int, int>>> by_group(static_cast<std::size_t>(cost.groups()));
  for (std::size_t f = 0; f < cost.factors().size(); ++f) {
    for (const auto& [g, each] : cost.factors()[f].groups)
      by_group[static_cast<std::size_t>(g)].emplace_back(static_cast<int>(f), each);
  }
  for (const auto& bundle : counts.bundles())
    axes_of_.push_back(by_group[static_cast<std::size_t>(bundle.front())]);
}

void StepSearch::move(std::size_t part, std::size_t choice) {
  const auto& now = choices_[part][chosen_[part]].kept;
  const auto& next = choices_[part][choice].kept;
  const auto& bundles = counts_.parts()[part].bundles;
  for (std::size_t b = 0; b < bundles.size(); ++b) {
    if (now[b] == next[b]) continue;
    for (const auto& [axis, each] : axes_of_[static_cast<std::size_t>(bundles[b])])
      sizes_[static_cast<std::size_t>(axis)] += each * (next[b] - now[b]);
  }
  chosen_[part] = choice;
}

void StepSearch::set(std::size_t part, std::size_t choice) {
  move(part, choice);
  cost_now_ = model_.value(kind_, sizes_);
}

double StepSearch::cost_with(std::size_t part, std::size_t choice) {
  const std::size_t before = chosen_[part];
  move(part, choice);
  const double result = model_.value(kind_, sizes_);
  move(part, before);
  return result;
}

bool StepSearch::lower_to(double allowed) {
  while (cost_now_ > allowed) {
    std::size_t best = chosen_.size();
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t p = 0; p < chosen_.size(); ++p) {
      if (chosen_[p] == 0) continue;
      const double saved = std::min(cost_now_ - cost_with(p, chosen_[p] - 1), cost_now_ - allowed);
      const double lost = worth(p, chosen_[p]) - worth(p, chosen_[p] - 1);
      // What gains by going goes first, whatever it saves.
      const double ratio = lost < 0 ? lost * std::max(saved, 1e-9) : lost / std::max(saved, 1e-9);
      if (ratio >= least) continue;
      best = p;
      least = ratio;
    }
    if (best == chosen_.size()) return false;
    set(best, chosen_[best] - 1);
  }
  return true;
}

/// The step up of most worth for its cost that is allowed, if there is one.
bool StepSearch::raise(double allowed, bool must_gain) {
  std::size_t best = chosen_.size();
  std::size_t to = 0;
  double most = -std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < chosen_.size(); ++p) {
    for (std::size_t c = chosen_[p] + 1; c < choices_[p].size(); ++c) {
      const double gained = worth(p, c) - worth(p, chosen_[p]);
      if (must_gain && gained <= 0) continue;
      const double cost = cost_with(p, c);
      if (cost > allowed) continue;
      const double ratio = gained / std::max(cost - cost_now_, 1e-9);
      if (ratio <= most) continue;
      best = p;
      to = c;
      most = ratio;
    }
  }
  if (best == chosen_.size()) return false;
  set(best, to);
  return true;
}

/// Steps down that pay for a step up elsewhere of more worth, or of the same and more cost; each part's once.
bool StepSearch::exchange(double allowed) {
  bool any = false;
  for (std::size_t down = 0; down < chosen_.size(); ++down) {
    if (chosen_[down] == 0) continue;
    const double before = cost_now_;
    const double lost = worth(down, chosen_[down]) - worth(down, chosen_[down] - 1);
    set(down, chosen_[down] - 1);
    const auto pays = [&](std::size_t up) {
      if (up == down || chosen_[up] + 1 == choices_[up].size()) return false;
      const double gained = worth(up, chosen_[up] + 1) - worth(up, chosen_[up]);
      if (gained < lost) return false;
      const double cost = cost_with(up, chosen_[up] + 1);
      return cost <= allowed && (gained > lost || cost > before);
    };
    std::size_t up = 0;
    while (up < chosen_.size() && !pays(up)) ++up;
    if (up < chosen_.size()) {
      set(up, chosen_[up] + 1);
      any = true;
    } else {
      set(down, chosen_[down] + 1);
    }
  }
  return any;
}

void StepSearch::improve(double allowed) {
  constexpr int kMostPasses = 10;
  while (raise(allowed, true)) {
  }
  for (int pass = 0; pass < kMostPasses && exchange(allowed); ++pass) {
    while (raise(allowed, true)) {
    }
  }
  while (raise(allowed, false)) {
  }
}

}  // namespace quboprune
