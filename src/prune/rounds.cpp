#include "prune/rounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quboprune/error.h"

namespace quboprune {
namespace {

/// The layer's output channels that a mask leaves, by their groups in the original.
std::vector<int> groups_left(const Layer& layer, const Mask& mask) {
  std::vector<int> left;
  for (int g : layer.groups) {
    if (g < 0 || mask[static_cast<std::size_t>(g)] != 0) left.push_back(g);
  }
  return left;
}

/// What may stay after a round: the whole network's cost less equal shares of what must go.
double allowed_after(int round, int rounds, double all, double at_the_end, Cost kind) {
  const double allowed = all - (all - at_the_end) * round / rounds;
  return kind == Cost::filters ? std::round(allowed) : allowed;
}

/// The round's choice in the original's groups.
Mask in_original(const Mask& part, const std::vector<int>& numbers, std::size_t size) {
  Mask mask(size, 0);
  for (std::size_t g = 0; g < part.size(); ++g) mask[static_cast<std::size_t>(numbers[g])] = part[g];
  return mask;
}

}  // namespace

std::optional<std::vector<int>> original_groups(const ChannelGroups& original, const Mask& mask,
                                                const ChannelGroups& cut) {
  if (cut.size() != kept_count(mask)) return std::nullopt;
  std::vector<int> numbers(static_cast<std::size_t>(cut.size()), -1);
  std::vector<int> found(mask.size(), -1);  // the other way round
  for (const auto& layer : cut.layers()) {
    const auto before = std::find_if(original.layers().begin(), original.layers().end(),
                                     [&](const Layer& l) { return l.node == layer.node; });
    if (before == original.layers().end()) return std::nullopt;
    const auto left = groups_left(*before, mask);
    if (left.size() != layer.groups.size()) return std::nullopt;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if ((left[i] < 0) != (layer.groups[i] < 0)) return std::nullopt;
      if (left[i] < 0) continue;
      int& number = numbers[static_cast<std::size_t>(layer.groups[i])];
      int& back = found[static_cast<std::size_t>(left[i])];
      if ((number >= 0 && number != left[i]) || (back >= 0 && back != layer.groups[i])) return std::nullopt;
      number = left[i];
      back = layer.groups[i];
    }
  }
  if (std::find(numbers.begin(), numbers.end(), -1) != numbers.end()) return std::nullopt;
  return numbers;
}

Mask mask_in_rounds(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                    const Target& target, int rounds, const RoundsOptions& options, const RoundChoice& choose,
                    const Control& control) {
  const auto n = static_cast<std::size_t>(groups.size());
  Mask mask(n, 1);
  const double all = groups.cost().value(target.kind, mask);
  const double at_the_end = allowance(groups, target);
  const auto allowed = [&](int round) { return allowed_after(round, rounds, all, at_the_end, target.kind); };
  mask = choose(groups, scores, evaluator, {target.kind, 1 - allowed(1) / all});
  try {
    for (int round = 2; round <= rounds; ++round) {
      control.report("rounds", round - 1, rounds, std::numeric_limits<double>::quiet_NaN());
      const ChannelGroups left = analyse(evaluator.cut(mask), options.layers);
      const auto numbers = original_groups(groups, mask, left);
      if (!numbers) return {};
      const double now = left.cost().value(target.kind, Mask(numbers->size(), 1));
      if (now <= allowed(round)) continue;
      const Scores again = score(left, options.samples, evaluator.judge(), options.score, control);
      const MaskEvaluator there(left, evaluator.samples(), evaluator.judge(), {}, control);
      mask = in_original(choose(left, again, there, {target.kind, 1 - allowed(round) / now}), *numbers, n);
    }
  } catch (const Stopped&) {
    return {};
  }
  const double kept = groups.cost().value(target.kind, mask);
  return kept <= at_the_end ? mask : Mask{};
}

}  // namespace quboprune
