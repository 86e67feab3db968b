#include "solvers/elite_pool.h"

#include <algorithm>

namespace quboprune {

int hamming_distance(const Mask& a, const Mask& b) {
  int distance = 0;
  for (std::size_t i = 0; i < a.size(); ++i) distance += a[i] != b[i] ? 1 : 0;
  return distance;
}

namespace {

/// Leaves off where the answer is known: large pools compare each find with all that they hold.
bool closer(const Mask& a, const Mask& b, int distance) {
  int different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && ++different >= distance) return false;
  }
  return true;
}

}  // namespace

bool ElitePool::insert(const Mask& x, double energy) {
  if (!wants(energy)) return false;
  for (const Solution& member : members_)
    if (member.energy <= energy && closer(member.x, x, distance_)) return false;
  std::erase_if(members_, [&](const Solution& member) {
    return member.energy > energy && closer(member.x, x, distance_);
  });
  const auto place = std::upper_bound(members_.begin(), members_.end(), energy,
                                      [](double value, const Solution& s) { return value < s.energy; });
  members_.insert(place, Solution{x, energy});
  if (members_.size() > capacity_) members_.pop_back();
  return true;
}

}  // namespace quboprune
