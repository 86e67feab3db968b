#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "quboprune/qubo.h"

namespace quboprune {

/// The same problem with penalties lowered to what they need be, where they are so large (a thousand times
/// what is left, at least) that a search on a grid would see nothing else; else none.
///
/// A positive coupling b of i and j keeps them from being 1 together wherever dropping one of them gains:
/// where b is above what i can bring at most, T_i = -(a_i + the sum of i's negative couplings), or j. Any
/// coupling above that has the same optima, and gives masks that keep the penalties the same energies. Only
/// for constraints under which a variable may always be dropped, but for those that are `fixed` at 1 (as in
/// Constraint); low-rank terms leave all as it is. Ours, though the bound on a penalty is folklore.
std::optional<Qubo> with_low_penalties(const Qubo& qubo, const std::vector<std::int8_t>& fixed = {});

}  // namespace quboprune
