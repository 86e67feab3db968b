#include "solvers/elite_pool.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
  // Equal masks have equal energies, but for the rounding of how each was arrived at.
  constexpr double kRounding = 1e-7;
  const double apart =
      distance_ > 1 ? std::numeric_limits<double>::infinity() : kRounding * (1 + std::abs(energy));
  const auto below = [](const Solution& member, double value) { return member.energy < value; };
  const auto first = std::lower_bound(members_.begin(), members_.end(), energy - apart, below);
  const auto last = std::lower_bound(first, members_.end(), energy + apart, below);
  for (auto member = first; member != last && member->energy <= energy; ++member)
    if (closer(member->x, x, distance_)) return false;
  const auto worse = std::remove_if(first, last, [&](const Solution& member) {
    return member.energy > energy && closer(member.x, x, distance_);
  });
  members_.erase(worse, last);
  const auto place = std::upper_bound(members_.begin(), members_.end(), energy,
                                      [](double value, const Solution& s) { return value < s.energy; });
  members_.insert(place, Solution{x, energy});
  if (members_.size() > capacity_) members_.pop_back();
  return true;
}

}  // namespace quboprune
