#include "prune/settle_branches.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/index.h"
#include "coupling/branches.h"
#include "target/in_order.h"

namespace quboprune {
namespace {

constexpr double kUnused = 0.01;  ///< of all parameters or multiply-adds, may go beyond the target

/// The groups that may come back one by one, the least important first: what would come back into a branch
/// that went stays out.
std::vector<int> may_return(const ChannelGroups& groups, const Mask& mask,
                            const std::vector<double>& importance) {
  Mask out = mask;
  for (const auto& set : groups.branches()) {
    if (places_left(set, mask) > 0) continue;
    for (int g : set) out[at_index(g)] = 1;
  }
  std::vector<int> order;
  for (int g = 0; g < groups.size(); ++g) {
    Mask with = mask;
    with[at_index(g)] = 1;
    if (out[at_index(g)] == 0 && with_whole_branches(groups, with) == with) order.push_back(g);
  }
  std::ranges::stable_sort(order, {}, [&](int g) { return importance[at_index(g)]; });
  return order;
}

/// With the most important group of each branch that went, for which the least important others go that may.
Mask with_branches_back(const ChannelGroups& groups, const Target& target, Mask mask,
                        const std::vector<double>& importance) {
  std::vector<std::vector<int>> sets = groups.covers();
  sets.insert(sets.end(), groups.branches().begin(), groups.branches().end());
  for (const auto& set : groups.branches()) {
    if (places_left(set, mask) > 0) continue;
    const auto best = std::ranges::max_element(set, {}, [&](int g) { return importance[at_index(g)]; });
    mask[at_index(*best)] = 1;
  }
  const auto leaves_all = [&](int g, Mask without) {
    without[at_index(g)] = 0;
    return std::ranges::none_of(sets, [&](const auto& set) { return places_left(set, without) == 0; });
  };
  const std::vector<int> order = least_important_first(importance);
  take_out(groups, target, order, leaves_all, mask);
  put_back(groups, target, order, mask);
  return mask;
}

}  // namespace

void settle_branches(const ChannelGroups& groups, const Target& target, Choice& choice) {
  const Mask asked = choice.mask;
  Mask whole = with_whole_branches(groups, asked);
  const int stranded = kept_count(asked) - kept_count(whole);
  if (stranded == 0) return;
  const auto& importance = choice.formulation.importance;
  if (choice.round_to <= 1) {
    put_back(groups, target, may_return(groups, whole, importance), whole);
    const auto left = [&](const Mask& mask) {
      return allowance(groups, target) - groups.cost().value(target.kind, mask);
    };
    const double all = groups.cost().value(target.kind, Mask(asked.size(), 1));
    const double unused = target.kind == Cost::filters ? 0 : kUnused * all;
    const Mask back = left(whole) > unused ? with_branches_back(groups, target, asked, importance) : whole;
    if (left(back) >= 0 && left(back) < left(whole)) {
      choice.mask = back;
      choice.notes.push_back("a branch that would have gone as a whole keeps a channel, to meet the target");
      return;
    }
  }
  choice.mask = whole;
  choice.notes.push_back(
      fmt::format("{} filters that only served branches which go went with them, and {} others stay instead",
                  stranded, kept_count(whole) - kept_count(asked) + stranded));
}

}  // namespace quboprune
