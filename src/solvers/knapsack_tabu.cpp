#include "solvers/knapsack_tabu.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quboprune/error.h"
#include "solvers/elite_pool.h"
#include "solvers/subset_sum.h"

namespace quboprune {
namespace {

constexpr std::size_t kRemovalsLookedAt = 64;

}  // namespace

IntegerCosts::IntegerCosts(const Constraint& constraint, std::size_t variables) {
  const std::vector<double> given =
      constraint.costs.empty() ? std::vector<double>(variables, 1.0) : constraint.costs;
  const double total = std::accumulate(given.begin(), given.end(), 0.0);
  exact =
      total < 0x1p31 && std::all_of(given.begin(), given.end(), [](double c) { return c == std::floor(c); });
  const double most = std::min(constraint.capacity, total);
  const double steps = exact || most <= 0 ? 1.0 : 0x1p30 / most;
  capacity = static_cast<std::int64_t>(std::floor(most * steps * (1 + 1e-12)));
  costs.resize(variables);
  for (std::size_t i = 0; i < variables; ++i)
    costs[i] = static_cast<std::int32_t>(std::min(std::ceil(given[i] * steps), 0x1p31 - 1));
}

KnapsackTabu::KnapsackTabu(const DenseMatrix& matrix, const Constraint& constraint)
    : constraint_(constraint),
      costs_(constraint, matrix.size()),
      state_(matrix, constraint.fixed),
      tabu_(matrix.size(), 128),
      patience_(std::max<std::int64_t>(static_cast<std::int64_t>(matrix.size()) * 3, 300)),
      equality_(constraint.kind == Constraint::Kind::exactly) {
  if (equality_ && !costs_.exact)
    throw InputError(
        "an exact total of costs that are not whole numbers is asked for: "
        "give whole costs, or ask for at most the capacity");
}

bool KnapsackTabu::make_feasible() {
  state_.release_all();
  spent_ = 0;
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (state_.on(i)) spent_ += costs_.costs[i];
  // Over the capacity: what gives least per unit of cost goes first.
  while (spent_ > costs_.capacity) {
    std::size_t worst = DenseState::kNone;
    double worst_value = 0;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (!state_.on(i) || state_.is_fixed(i) || costs_.costs[i] == 0) continue;
      const double value = static_cast<double>(state_.gain(i)) / costs_.costs[i];
      if (worst == DenseState::kNone || value < worst_value) worst = i, worst_value = value;
    }
    if (worst == DenseState::kNone) return false;
    apply({worst, DenseState::kNone, 0});
  }
  tabu_.clear(state_);
  state_.rescan();
  return !equality_ || spent_ == costs_.capacity || fill_exactly();
}

/// Redraws as many variables as needed to spend the capacity exactly.
bool KnapsackTabu::fill_exactly() {
  std::vector<std::size_t> free;
  std::int64_t fixed_cost = 0;
  for (std::size_t i = 0; i < state_.size(); ++i) {
    if (!state_.is_fixed(i))
      free.push_back(i);
    else if (state_.on(i))
      fixed_cost += costs_.costs[i];
  }
  for (std::size_t k = free.size(); k > 1; --k)
    std::swap(free[k - 1], free[rng_.below(static_cast<std::uint32_t>(k))]);
  // Those that are kept now come first: the selection takes an early one where it can.
  std::stable_partition(free.begin(), free.end(), [&](std::size_t i) { return state_.on(i); });
  std::vector<std::int32_t> costs;
  for (std::size_t i : free) costs.push_back(costs_.costs[i]);
  const std::vector<std::uint8_t> chosen = subset_of_sum(costs, costs_.capacity - fixed_cost);
  if (chosen.empty()) return false;
  Mask target = state_.x();
  for (std::size_t k = 0; k < free.size(); ++k) target[free[k]] = chosen[k];
  state_.move_to(target);
  spent_ = costs_.capacity;
  return true;
}

/// The best addition after `out` left `room`; the gain of the whole swap.
std::size_t KnapsackTabu::best_partner(std::size_t out, std::int64_t room, std::int64_t& gain) const {
  std::size_t best = DenseState::kNone;
  const std::int64_t out_gain = state_.gain(out);
  for (std::size_t j = 0; j < state_.size(); ++j) {
    if (state_.on(j) || !state_.is_free(j) || costs_.costs[j] > room) continue;
    if (equality_ && costs_.costs[j] != room) continue;
    const std::int64_t value = out_gain + state_.field(j) - state_.matrix().coupling(out, j);
    if (value < gain) gain = value, best = j;
  }
  return best;
}

void KnapsackTabu::list_removals() {
  removals_.clear();
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (state_.on(i) && state_.is_free(i)) removals_.push_back(i);
  if (removals_.size() <= kRemovalsLookedAt) return;
  // Half by what they cost the objective, half by what they cost it per unit of room.
  const auto middle = removals_.begin() + kRemovalsLookedAt / 2;
  std::nth_element(removals_.begin(), middle, removals_.end(),
                   [&](std::size_t a, std::size_t b) { return state_.gain(a) < state_.gain(b); });
  auto density = [&](std::size_t i) {
    return static_cast<double>(state_.gain(i)) / std::max(1, costs_.costs[i]);
  };
  std::nth_element(middle, middle + kRemovalsLookedAt / 2, removals_.end(),
                   [&](std::size_t a, std::size_t b) { return density(a) < density(b); });
  removals_.resize(kRemovalsLookedAt);
}

void KnapsackTabu::best_swaps(Move& best) {
  list_removals();
  const std::int64_t slack = costs_.capacity - spent_;
  for (const std::size_t out : removals_) {
    std::int64_t gain = best.gain;
    const std::int64_t room = equality_ ? costs_.costs[out] : slack + costs_.costs[out];
    const std::size_t in = best_partner(out, room, gain);
    if (in != DenseState::kNone) best = {out, in, gain};
  }
}

KnapsackTabu::Move KnapsackTabu::best_move() {
  Move best;
  if (!equality_) {
    const std::int64_t slack = costs_.capacity - spent_;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (!state_.is_free(i) || state_.gain(i) >= best.gain) continue;
      if (state_.on(i))
        best = {i, DenseState::kNone, state_.gain(i)};
      else if (costs_.costs[i] <= slack)
        best = {DenseState::kNone, i, state_.gain(i)};
    }
    // An improving addition is taken at once: the room is there.
    if (best.in != DenseState::kNone && best.gain < 0) return best;
  }
  best_swaps(best);
  return best;
}

void KnapsackTabu::apply(const Move& move) {
  tabu_.advance(state_);
  auto hold = [&](std::size_t i, int base) {
    tabu_.forbid(state_, i, base + static_cast<int>(rng_.below(10)));
  };
  const int base = static_cast<int>(std::min<std::size_t>(state_.size() / 50, 20)) + 1;
  if (move.out != DenseState::kNone) spent_ -= costs_.costs[move.out];
  if (move.in != DenseState::kNone) spent_ += costs_.costs[move.in];
  if (move.out != DenseState::kNone && move.in != DenseState::kNone)
    state_.swap(move.out, move.in);
  else
    state_.flip(move.out != DenseState::kNone ? move.out : move.in);
  // Back in is worse than back out: what was dropped stays out longer.
  if (move.out != DenseState::kNone) hold(move.out, 2 * base);
  if (move.in != DenseState::kNone) hold(move.in, base);
}

Found KnapsackTabu::improve(const Task& task, const Deadline& deadline) {
  rng_ = Rng(task.seed);
  Mask start = task.start;
  for (std::size_t i = 0; i < start.size(); ++i)
    if (state_.is_fixed(i)) start[i] = static_cast<std::uint8_t>(constraint_.fixed[i]);
  tabu_.clear(state_);
  state_.move_to(start);
  const std::int64_t moves_before = state_.moves();
  Found found;
  if (make_feasible()) {
    const DenseMatrix& matrix = state_.matrix();
    std::int64_t best = state_.energy();
    found.x = state_.x();
    auto energy_of = [&](std::int64_t whole) {
      return static_cast<double>(whole) * matrix.scale() + matrix.offset();
    };
    auto energy = [&] { return energy_of(best); };
    ElitePool others(task.keep, task.keep_distance);
    for (std::int64_t searched = 0, last = 0; searched - last < patience_; ++searched) {
      if (energy() <= task.target || state_.moves() - moves_before >= task.moves) break;
      if ((searched & 15) == 0 && deadline.expired()) break;
      const Move move = best_move();
      if (move.gain == DenseState::kNoGain) {
        tabu_.clear(state_);
        state_.rescan();
        continue;
      }
      apply(move);
      if (task.keep > 1) others.insert(state_.x(), energy_of(state_.energy()));
      if (state_.energy() >= best) continue;
      best = state_.energy();
      found.x = state_.x();
      last = searched;
    }
    found.energy = energy();
    if (task.keep > 1) found.others.assign(others.members().begin(), others.members().end());
  }
  tabu_.clear(state_);
  found.moves = std::max<std::int64_t>(1, state_.moves() - moves_before);
  return found;
}

}  // namespace quboprune
