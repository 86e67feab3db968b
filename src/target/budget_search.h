#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace quboprune {

/// A budget that was tried: the fraction removed, and what that costs in the unit of the metric (0: nothing;
/// below: a gain).
struct TriedBudget {
  double removed = 0;
  double loss = 0;
};

/// Which of them removes most and loses at most `most`; none where each loses more (or an unknown amount,
/// NaN).
std::optional<std::size_t> furthest_within(std::span<const TriedBudget> tried, double most);

/// The fraction to try next, to whole thousandths: halfway from the furthest that holds (0 where none does)
/// to the nearest beyond it that doesn't. None where nothing fails beyond, or no thousandth lies between.
std::optional<double> next_budget(std::span<const TriedBudget> tried, double most);

}  // namespace quboprune
