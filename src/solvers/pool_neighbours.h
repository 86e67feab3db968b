#pragma once

#include "quboprune/qubo.h"
#include "solvers/elite_pool.h"
#include "solvers/improver.h"

namespace quboprune {

/// Fills a pool with the neighbours of its members (one flip, or a swap of a one and a zero, which obey the
/// constraint), then with theirs: what a search leaves out that saw one solution and stayed there. Of many
/// neighbours the cheaper flips alone are tried, of a large problem's fewer. Members keep their true
/// energies. For distances up to 2; neighbours are no further apart. Ends when the deadline does.
void add_neighbours(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline,
                    ElitePool& pool);

}  // namespace quboprune
