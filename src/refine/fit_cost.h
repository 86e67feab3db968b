#pragma once

#include "quboprune/target.h"

namespace quboprune {

/// Adds or removes one variable at a time, each the one that changes E least, until `count` are kept.
void repair_count(const Qubo& qubo, Mask& x, int count, const std::vector<std::int8_t>& fixed);

/// Makes the true cost of a mask fit: removes what costs least energy for its cost while it is above
/// `allowed`, then adds back whatever lowers the energy and still fits, best ratio first. False if it can't.
bool fit_mask(const Qubo& qubo, const ChannelGroups& groups, Cost kind, double allowed,
              const std::vector<std::int8_t>& fixed, Mask& mask);

/// solve_at_target for parameters and MACs.
SolverResult fit_cost(const Formulation& f, const ChannelGroups& groups, const Target& target,
                      const std::vector<std::int8_t>& fixed, const SolverOptions& options,
                      const Control& control);

}  // namespace quboprune
