#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/qubo.h"

namespace quboprune {

struct RoofDual {
  double bound = -std::numeric_limits<double>::infinity();  ///< below every energy
  /// By variable the value that it has in every optimal solution; -1: open, or fixed by the constraint.
  std::vector<std::int8_t> persistent;
};

/// The roof dual of a problem that may fix variables but has no other constraint, and what it decides: one
/// maximum flow in a network of the variables and their complements. On sparse problems by far the best that
/// linear bounds can say. It says nothing with low-rank terms, with so many couplings that it hardly would or
/// that the network gets too large (hundreds of bytes for each), or where the flow would take more than a
/// small part of `seconds`.
///
/// Capacities are whole: coefficients on a grid of 2^-50 of their sum. What they may be off it is taken from
/// the bound, and from what decides.
/// Source: Hammer, Hansen, Simeone 1984; the network and the proof that what the source reaches is so in
/// every optimum: Boros, Hammer, Tavares 2006. The flow is Boost's (Boykov, Kolmogorov 2004).
RoofDual roof_dual(const Qubo& qubo, const Constraint& constraint,
                   double seconds = std::numeric_limits<double>::infinity());

}  // namespace quboprune
