#include "target/in_order.h"

#include <algorithm>
#include <numeric>

#include "core/index.h"

namespace quboprune {

std::vector<int> least_important_first(const std::vector<double>& importance) {
  std::vector<int> order(importance.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int g) { return importance[at_index(g)]; });
  return order;
}

void take_out(const ChannelGroups& groups, const Target& target, const std::vector<int>& order,
              const std::function<bool(int, const Mask&)>& may_go, Mask& mask) {
  const double allowed = allowance(groups, target);
  for (const int g : order) {
    if (groups.cost().value(target.kind, mask) <= allowed) return;
    if (mask[at_index(g)] != 0 && may_go(g, mask)) mask[at_index(g)] = 0;
  }
}

void put_back(const ChannelGroups& groups, const Target& target, const std::vector<int>& order, Mask& mask) {
  const double allowed = allowance(groups, target);
  double now = groups.cost().value(target.kind, mask);
  std::vector<double> marginal = groups.cost().marginals(target.kind, mask);
  for (auto g = order.rbegin(); g != order.rend(); ++g) {
    if (mask[at_index(*g)] != 0 || now + marginal[at_index(*g)] > allowed) continue;
    mask[at_index(*g)] = 1;
    now = groups.cost().value(target.kind, mask);
    marginal = groups.cost().marginals(target.kind, mask);
  }
}

}  // namespace quboprune
