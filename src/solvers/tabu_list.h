#pragma once

#include <cstdint>
#include <vector>

#include "solvers/dense_state.h"

namespace quboprune {

/// Which variables of a DenseState are tabu, and until when: a ring of buckets by expiry, so that a move
/// costs only the few that are released.
class TabuList {
 public:
  TabuList(std::size_t variables, int longest_tenure)
      : next_(variables, kEnd), heads_(static_cast<std::size_t>(longest_tenure) + 1, kEnd) {}

  /// Holds i for `tenure` >= 1 calls of advance(); i must not be held already.
  void forbid(DenseState& state, std::size_t i, int tenure) {
    state.hold(i);
    std::size_t slot = clock_ + static_cast<std::size_t>(tenure);
    if (slot >= heads_.size()) slot -= heads_.size();
    next_[i] = heads_[slot];
    heads_[slot] = static_cast<std::uint32_t>(i);
  }

  /// One step of time: releases what has served its term.
  void advance(DenseState& state) {
    if (++clock_ == heads_.size()) clock_ = 0;
    for (std::uint32_t i = heads_[clock_]; i != kEnd; i = next_[i]) state.release(i);
    heads_[clock_] = kEnd;
  }

  /// Releases all, for a new start; the state's extremes are not renewed.
  void clear(DenseState& state) {
    for (std::uint32_t& head : heads_) {
      for (std::uint32_t i = head; i != kEnd; i = next_[i]) state.release(i);
      head = kEnd;
    }
  }

 private:
  static constexpr std::uint32_t kEnd = 0xFFFFFFFF;
  std::vector<std::uint32_t> next_, heads_;
  std::size_t clock_ = 0;
};

}  // namespace quboprune
