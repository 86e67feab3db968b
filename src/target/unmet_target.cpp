#include "target/unmet_target.h"

#include <fmt/core.h>

#include <cmath>

namespace quboprune {

UnmetTarget unmet_target(const ChannelGroups& groups, const Target& target, const Mask& least) {
  const double all = groups.cost().value(target.kind, Mask(least.size(), 1));
  const double removable = all - groups.cost().value(target.kind, least);
  const char* const unit = target.kind == Cost::filters  ? "filters"
                           : target.kind == Cost::params ? "parameters"
                                                         : "multiply-accumulates";
  const std::string where = fmt::format(
      "the target {}={:.4g} can't be met: with one channel left in each layer{}", name_of(target.kind),
      target.removed, groups.branches().empty() ? "" : " outside of branches that may go");
  constexpr double kSteps = 1e4;  // rounded down, so that what is named can be asked for
  const double fraction = std::floor(kSteps * removable / all) / kSteps;
  if (!(fraction > 0))
    return UnmetTarget(where +
                       " nothing can be removed; quboprune inspect lists the layers and what is frozen");
  return UnmetTarget(fmt::format("{} at most {:.0f} of {:.0f} {} can be removed, {}={:.4f}; ask for less",
                                 where, removable, all, unit, name_of(target.kind), fraction));
}

UnmetTarget unmet_target(const ChannelGroups& groups, const Target& target,
                         const std::vector<std::int8_t>& fixed) {
  Mask least;
  for (auto f : fixed) least.push_back(f == 1 ? 1 : 0);
  return unmet_target(groups, target, least);
}

}  // namespace quboprune
