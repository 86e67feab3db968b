#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/solver.h"

namespace quboprune {
namespace {

/// Tabu search in double precision on the dense matrix: flips, and drop-add swaps where a count is full.
class TabuSearch {
 public:
  TabuSearch(const Qubo& qubo, const Constraint& constraint, std::uint64_t seed)
      : n_(static_cast<std::size_t>(qubo.size())),
        constraint_(constraint),
        costs_(constraint.costs),
        rng_(seed) {
    qubo.to_dense(couplings_, diagonal_);
    if (costs_.empty()) costs_.assign(n_, 1.0);
    x_.assign(n_, 0);
    field_ = diagonal_;
    tabu_until_.assign(n_, 0);
  }

  void flip(std::size_t k) {
    const double sign = x_[k] != 0 ? -1.0 : 1.0;
    energy_ += sign * field_[k];
    spent_ += sign * costs_[k];
    x_[k] ^= 1;
    const double* row = couplings_.data() + k * n_;
    for (std::size_t i = 0; i < n_; ++i) field_[i] += sign * row[i];
    ++moves_;
  }

  bool fixed(std::size_t i) const { return !constraint_.fixed.empty() && constraint_.fixed[i] >= 0; }
  bool fits(double spent) const {
    if (constraint_.kind == Constraint::Kind::none) return true;
    const double slack = 1e-9 * std::max(1.0, std::abs(constraint_.capacity));
    if (spent > constraint_.capacity + slack) return false;
    return constraint_.kind == Constraint::Kind::at_most || spent >= constraint_.capacity - slack;
  }

  /// Sets the fixed variables and fills up at random to a feasible start.
  bool construct(const Mask& start) {
    for (std::size_t i = 0; i < n_; ++i) {
      const bool wanted = fixed(i) ? constraint_.fixed[i] == 1 : (!start.empty() && start[i] != 0);
      if ((x_[i] != 0) != wanted) flip(i);
    }
    std::vector<std::size_t> order(n_);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = n_; i > 1; --i)
      std::swap(order[i - 1], order[rng_.below(static_cast<std::uint32_t>(i))]);
    for (std::size_t i : order)
      if (!fixed(i) && x_[i] != 0 && spent_ > constraint_.capacity && !fits(spent_) &&
          constraint_.kind != Constraint::Kind::none)
        flip(i);
    for (std::size_t i : order)
      if (!fits(spent_) && !fixed(i) && x_[i] == 0 && spent_ + costs_[i] <= constraint_.capacity + 1e-9)
        flip(i);
    return fits(spent_);
  }

  /// One move: the best admissible flip that keeps the constraint, or drop-add swap. False if none exists.
  bool step(double best_energy) {
    const std::size_t first = pick(
        best_energy, [&](std::size_t i) { return fits(spent_ + (x_[i] != 0 ? -costs_[i] : costs_[i])); });
    if (first < n_ && gain(first) < 0) {
      flip(first);
      forbid(first);
      return true;
    }
    const std::size_t drop = pick(best_energy, [&](std::size_t i) { return x_[i] != 0; });
    if (drop == n_ || constraint_.kind == Constraint::Kind::none) {
      if (first == n_) return false;
      flip(first);
      forbid(first);
      return true;
    }
    flip(drop);
    forbid(drop);
    const std::size_t add =
        pick(best_energy, [&](std::size_t i) { return i != drop && x_[i] == 0 && fits(spent_ + costs_[i]); });
    if (add == n_) {
      if (!fits(spent_)) flip(drop);
    } else {
      flip(add);
      forbid(add);
    }
    return true;
  }

  double energy() const { return energy_; }
  const Mask& mask() const { return x_; }
  std::int64_t moves() const { return moves_; }
  Mask random_mask() {
    Mask mask(n_);
    for (auto& bit : mask) bit = static_cast<std::uint8_t>(rng_.below(2));
    return mask;
  }

 private:
  double gain(std::size_t i) const { return x_[i] != 0 ? -field_[i] : field_[i]; }
  void forbid(std::size_t i) {
    tabu_until_[i] = ++clock_ + static_cast<std::int64_t>(n_ / 50 + rng_.below(10));
  }

  template <typename Allowed>
  std::size_t pick(double best_energy, Allowed allowed) {
    std::size_t best = n_;
    for (std::size_t i = 0; i < n_; ++i) {
      if (fixed(i) || !allowed(i) || (best < n_ && gain(i) >= gain(best))) continue;
      if (tabu_until_[i] > clock_ && energy_ + gain(i) >= best_energy) continue;
      best = i;
    }
    return best;
  }

  std::size_t n_;
  const Constraint& constraint_;
  std::vector<double> costs_, couplings_, diagonal_, field_;
  Mask x_;
  double energy_ = 0, spent_ = 0;
  std::vector<std::int64_t> tabu_until_;
  std::int64_t clock_ = 0, moves_ = 0;
  Rng rng_;
};

void check_sizes(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options) {
  const auto n = static_cast<std::size_t>(qubo.size());
  auto require = [n](const char* what, std::size_t size) {
    if (size != 0 && size != n)
      throw InputError(std::string(what) + " has " + std::to_string(size) + " entries for " +
                       std::to_string(n) + " variables: give one each, or none");
  };
  require("the constraint's costs", constraint.costs.size());
  require("the constraint's fixed variables", constraint.fixed.size());
  require("the start", options.start.size());
}

}  // namespace

std::vector<std::string> solver_names() {
  return {"tabu"};
}

SolverResult solve(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                   const Control& control) {
  check_sizes(qubo, constraint, options);
  const auto begin = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  TabuSearch search(qubo, constraint, options.seed);
  if (!search.construct(options.start))
    throw InputError("no selection within the capacity " + std::to_string(constraint.capacity) +
                     " could be found: change the capacity or free fixed variables");
  Mask best = search.mask();
  double best_energy = search.energy();
  SolverResult result;
  result.method = "tabu";
  result.reason = "time";
  int stale = 0;
  while (elapsed() < options.seconds) {
    if (control.stopped()) result.reason = "stopped";
    if (options.max_moves > 0 && search.moves() >= options.max_moves) result.reason = "moves";
    if (best_energy + qubo.offset() <= options.target_energy) result.reason = "target";
    if (result.reason != "time") break;
    const bool moved = search.step(best_energy);
    if (!moved && qubo.size() == 1) break;
    if (!moved || ++stale > 5 * qubo.size()) {
      search.construct(search.random_mask());
      stale = 0;
    }
    if (search.energy() < best_energy - 1e-12 * std::abs(best_energy)) {
      best_energy = search.energy();
      stale = 0;
      best = search.mask();
    }
  }
  result.pool.push_back({best, qubo.energy(best)});
  result.seconds = elapsed();
  result.moves = search.moves();
  return result;
}

}  // namespace quboprune
