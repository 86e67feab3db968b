#include "solvers/pool_neighbours.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "core/text.h"
#include "solvers/feasible.h"

namespace quboprune {
namespace {

constexpr std::size_t kOfEachSide = 64;  ///< flips to 1 and to 0 that are combined to swaps
constexpr double kNumbersRead =
    2e8;                          ///< of the problem's description, by all energies together: below a second
constexpr int kTurnsAMember = 4;  ///< so many times the pool's size are members looked around at

/// The free variables of that value, those that cost least first.
std::vector<std::size_t> cheapest(const Mask& x, std::uint8_t value, const std::vector<double>& slopes,
                                  const Constraint& constraint) {
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] == value && (constraint.fixed.empty() || constraint.fixed[i] < 0)) list.push_back(i);
  const double sign = value != 0 ? -1 : 1;
  std::stable_sort(list.begin(), list.end(),
                   [&](std::size_t a, std::size_t b) { return sign * slopes[a] < sign * slopes[b]; });
  if (list.size() > kOfEachSide) list.resize(kOfEachSide);
  return list;
}

double description_size(const Qubo& qubo) {
  double size = qubo.size() + static_cast<double>(qubo.pairs().size());
  for (const auto& block : qubo.dense_blocks()) size += static_cast<double>(block.values.size());
  for (const auto& term : qubo.low_rank()) size += static_cast<double>(term.factor.size());
  return size;
}

}  // namespace

void add_neighbours(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline,
                    ElitePool& pool) {
  std::unordered_set<std::string> looked_around;  // masks as text
  double energies_left = kNumbersRead / description_size(qubo);
  const auto next = [&]() -> const Solution* {
    for (const Solution& member : pool.members())
      if (!looked_around.contains(text_of(member.x))) return &member;
    return nullptr;
  };
  for (std::size_t turn = 0; turn < kTurnsAMember * (pool.size() + 1) && !pool.full() && energies_left >= 1;
       ++turn) {
    if (deadline.expired()) return;
    const Solution* member = next();
    if (member == nullptr) return;
    Mask x = member->x;
    looked_around.insert(text_of(x));
    const std::vector<double> slopes = qubo.slopes(x);
    const auto ones = cheapest(x, 1, slopes, constraint);
    const auto zeros = cheapest(x, 0, slopes, constraint);
    const auto add = [&] {
      if (energies_left < 1 || !feasible(constraint, x)) return;
      --energies_left;
      pool.insert(x, qubo.energy(x));
    };
    for (const auto* side : {&ones, &zeros})
      for (const std::size_t i : *side) {
        x[i] ^= 1;
        add();
        x[i] ^= 1;
      }
    for (const std::size_t out : ones) {
      if (deadline.expired()) return;
      for (const std::size_t in : zeros) {
        x[out] ^= 1;
        x[in] ^= 1;
        add();
        x[out] ^= 1;
        x[in] ^= 1;
      }
    }
  }
}

}  // namespace quboprune
