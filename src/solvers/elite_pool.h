#pragma once

#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/solver.h"

namespace quboprune {

/// Number of entries in which two masks of one length differ.
int hamming_distance(const Mask& a, const Mask& b);

/// The best solutions seen, any two at least `distance` apart: of two closer ones only the better stays.
class ElitePool {
 public:
  ElitePool(std::size_t capacity, int distance) : capacity_(capacity), distance_(distance) {}

  /// True if the pool changed. A mask that is there already comes with the same energy, to a ten-millionth.
  bool insert(const Mask& x, double energy);
  void clear() { members_.clear(); }
  /// True if a solution of this energy may find a place.
  bool wants(double energy) const { return !full() || energy < members_.back().energy; }
  bool full() const { return members_.size() >= capacity_; }
  std::size_t size() const { return members_.size(); }
  /// Best first.
  std::span<const Solution> members() const { return members_; }

 private:
  std::size_t capacity_;
  int distance_;
  std::vector<Solution> members_;
};

}  // namespace quboprune
