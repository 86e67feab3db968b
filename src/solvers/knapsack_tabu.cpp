#include "solvers/knapsack_tabu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/shuffle.h"
#include "quboprune/error.h"
#include "solvers/elite_pool.h"
#include "solvers/feasible.h"
#include "solvers/real_total.h"
#include "solvers/subset_sum.h"

namespace quboprune {
namespace {

constexpr std::size_t kRemovalsLookedAt = 64;
/// What the mean cost is rounded to under an exact total: so coarse that many costs are alike and can change
/// places.
constexpr double kRoundedMean = 8;
/// Moves without a new best after which a part is emptied and filled anew.
constexpr std::int64_t kShakeAfter = 60;
constexpr std::int32_t kNotNow = kNoSwap;

double energy_of(const DenseState& state, double whole) {
  return whole * state.matrix().scale() + state.matrix().offset();
}

/// The costs as whole multiples of a common unit, if there is one among 1, 0.1 ... 1e-6 times a whole number
/// and their sum stays below 2^31; else 0.
double common_unit(const std::vector<double>& costs, double total) {
  double scale = 1;
  const auto is_whole = [&](double cost) {
    const double scaled = cost * scale;
    return std::abs(scaled - std::round(scaled)) <= 1e-12 * std::abs(scaled);
  };
  while (!std::ranges::all_of(costs, is_whole)) {
    scale *= 10;
    if (scale > 1e6) return 0;
  }
  if (total * scale > 0x1p53) return 0;
  std::int64_t divisor = 0;
  for (const double cost : costs) divisor = std::gcd(divisor, std::llround(cost * scale));
  const double unit = static_cast<double>(std::max<std::int64_t>(divisor, 1)) / scale;
  return total / unit < 0x1p31 ? unit : 0;
}

}  // namespace

IntegerCosts::IntegerCosts(const Constraint& constraint, std::size_t variables) {
  const std::vector<double> given =
      constraint.costs.empty() ? std::vector<double>(variables, 1.0) : constraint.costs;
  const double total = std::accumulate(given.begin(), given.end(), 0.0);
  const double most = std::min(constraint.capacity, total);
  const bool exactly = constraint.kind == Constraint::Kind::exactly;
  unit = common_unit(given, total);
  rounded = unit == 0 ||
            (exactly && !has_subset_table(variables, static_cast<std::int64_t>(std::max(0.0, most) / unit)));
  double steps = 1;
  if (!rounded)
    steps = 1 / unit;
  else if (exactly)
    steps = kRoundedMean * static_cast<double>(variables) / total;
  else if (most > 0)
    steps = 0x1p30 / most;
  // A budget's costs are rounded down: what fills it to the brim must not be out of reach. take() looks at
  // the true ones.
  const bool down = rounded && !exactly;
  costs.resize(variables);
  double fixed = 0;
  for (std::size_t i = 0; i < variables; ++i) {
    const double scaled = given[i] * steps;
    costs[i] =
        static_cast<std::int32_t>(std::min(down ? std::floor(scaled) : std::round(scaled), 0x1p31 - 1));
    if (constraint.fixed.empty() || constraint.fixed[i] != 1) continue;
    fixed += given[i];
    capacity += costs[i];
  }
  // Of an exact total what the fixed ones leave is rounded: their own rounding must not use it up.
  capacity = exactly ? capacity + std::llround((most - fixed) * steps)
                     : static_cast<std::int64_t>(std::floor(most * steps * (1 + 1e-12)));
}

std::vector<std::int32_t> wide_couplings(const DenseMatrix& matrix) {
  std::vector<std::int32_t> wide(matrix.size() * matrix.stride(), 0);
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t j = 0; j < matrix.size(); ++j) wide[i * matrix.stride() + j] = matrix.coupling(i, j);
  return wide;
}

KnapsackTabu::KnapsackTabu(const DenseMatrix& matrix, const std::vector<std::int32_t>& couplings,
                           const Constraint& constraint)
    : constraint_(constraint),
      costs_(constraint, matrix.size()),
      state_(matrix, constraint.fixed),
      tabu_(matrix.size(), 128),
      patience_(std::max<std::int64_t>(static_cast<std::int64_t>(matrix.size()) * 4, 600)),
      equality_(constraint.kind == Constraint::Kind::exactly),
      couplings_(couplings),
      additions_(matrix.stride(), kNotNow) {
  costs_.costs.resize(matrix.stride(), 0);
  const double unit = costs_.unit;
  if (equality_ && unit > 0 &&
      std::abs(unit * std::round(constraint.capacity / unit) - constraint.capacity) >
          cost_tolerance(constraint))
    throw InputError(fmt::format("no selection costs exactly {}: all costs are multiples of {}",
                                 constraint.capacity, costs_.unit));
}

/// Drops what gives least per unit of cost until the rest fits.
void KnapsackTabu::relieve(std::int64_t capacity) {
  while (spent_ > capacity) {
    std::size_t worst = DenseState::kNone;
    double worst_value = 0;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (!state_.on(i) || state_.is_fixed(i) || costs_.costs[i] == 0) continue;
      const double value = static_cast<double>(state_.gain(i)) / costs_.costs[i];
      if (worst == DenseState::kNone || value < worst_value) worst = i, worst_value = value;
    }
    if (worst == DenseState::kNone) return;
    spent_ -= costs_.costs[worst];
    state_.flip(worst);
  }
}

/// Adds what gains most per unit of cost while something fits and gains; now and then the one after.
void KnapsackTabu::fill() {
  while (true) {
    std::size_t best = DenseState::kNone, second = DenseState::kNone;
    double best_value = 0;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if (state_.on(i) || !state_.is_free(i) || state_.gain(i) >= 0) continue;
      if (costs_.costs[i] > costs_.capacity - spent_) continue;
      const double value = static_cast<double>(state_.gain(i)) / std::max(costs_.costs[i], 1);
      if (value < best_value) second = best, best = i, best_value = value;
    }
    if (best == DenseState::kNone) return;
    if (second != DenseState::kNone && rng_.below(8) == 0) best = second;
    spent_ += costs_.costs[best];
    state_.flip(best);
    state_.release(best);
  }
}

void KnapsackTabu::drop_at_random(std::int64_t capacity) {
  std::vector<std::size_t> ones;
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (state_.on(i) && !state_.is_fixed(i)) ones.push_back(i);
  while (spent_ > capacity && !ones.empty()) {
    std::size_t& drawn = ones[rng_.below(static_cast<std::uint32_t>(ones.size()))];
    spent_ -= costs_.costs[drawn];
    state_.flip(drawn);
    drawn = ones.back();
    ones.pop_back();
  }
}

bool KnapsackTabu::make_feasible() {
  state_.release_all();
  spent_ = 0;
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (state_.on(i)) spent_ += costs_.costs[i];
  relieve(costs_.capacity);
  if (spent_ > costs_.capacity) return false;
  state_.release_all();
  fill();
  state_.release_all();
  return !equality_ || spent_ == costs_.capacity || fill_exactly() || rounds_total();
}

/// Frees a random 5 to 30 % of the capacity and fills it anew.
bool KnapsackTabu::shake() {
  tabu_.clear(state_);
  const double share = 0.7 + 0.25 * rng_.uniform();
  drop_at_random(static_cast<std::int64_t>(share * static_cast<double>(costs_.capacity)));
  // What was dropped is held by its flip until the room is filled by others, half of the time.
  if (rng_() >> 63 != 0) state_.release_all();
  fill();
  state_.release_all();
  fill();
  state_.release_all();
  return !equality_ || spent_ == costs_.capacity || fill_exactly() || rounds_total();
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
  shuffle(free, rng_);
  // Those that are kept now come first: the selection takes an early one where it can.
  std::stable_partition(free.begin(), free.end(), [&](std::size_t i) { return state_.on(i); });
  std::vector<std::int32_t> costs;
  for (std::size_t i : free) costs.push_back(costs_.costs[i]);
  const std::int64_t left = costs_.capacity - fixed_cost;
  if (!has_subset_table(costs.size(), left)) return false;
  const std::vector<std::uint8_t> chosen = subset_of_sum(costs, left);
  if (chosen.empty()) return false;
  Mask target = state_.x();
  for (std::size_t k = 0; k < free.size(); ++k) target[free[k]] = chosen[k];
  state_.move_to(target);
  spent_ = costs_.capacity;
  return true;
}

void KnapsackTabu::list_additions() {
  for (std::size_t j = 0; j < state_.size(); ++j)
    additions_[j] = !state_.on(j) && state_.is_free(j) ? state_.field(j) : kNotNow;
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
  list_additions();
  const std::int64_t slack = costs_.capacity - spent_;
  const std::size_t stride = additions_.size();
  for (const std::size_t out : removals_) {
    const auto most = static_cast<std::int32_t>(
        std::min<std::int64_t>(slack + costs_.costs[out], std::numeric_limits<std::int32_t>::max()));
    const std::int32_t least = equality_ ? costs_.costs[out] : 0;
    const SwapScan scan{
        additions_.data(),       costs_.costs.data(), &couplings_[out * stride], stride, least,
        equality_ ? least : most};
    const std::int32_t value = smallest_swap(scan);
    if (value >= kNotNow / 2 || state_.gain(out) + value >= best.gain) continue;
    best = {out, find_swap(scan, value), state_.gain(out) + value};
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

/// Changes x, where costs are rounded, so that the total is met in fact; its energy, +infinity if that
/// failed.
double KnapsackTabu::meet_rounded_total(Mask& x, const Deadline& deadline) {
  std::vector<std::size_t> free;
  RealTotal wanted{{}, constraint_.capacity, cost_tolerance(constraint_), {}, {}};
  Mask chosen;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (state_.is_fixed(i)) {
      wanted.total -= x[i] != 0 ? constraint_.costs[i] : 0;
      continue;
    }
    free.push_back(i);
    chosen.push_back(x[i]);
    wanted.costs.push_back(constraint_.costs[i]);
    wanted.gains.push_back(static_cast<double>(state_.gain(i)));
  }
  wanted.change = [&](std::span<const std::size_t> flipped) {
    double sum = 0;
    for (std::size_t p = 0; p < flipped.size(); ++p) {
      const std::size_t i = free[flipped[p]];
      sum += static_cast<double>(state_.gain(i));
      for (std::size_t q = 0; q < p; ++q) {
        const std::size_t j = free[flipped[q]];
        const double coupling = static_cast<double>(couplings_[i * additions_.size() + j]);
        sum += state_.on(i) == state_.on(j) ? coupling : -coupling;
      }
    }
    return sum;
  };
  const double change = meet_total(wanted, chosen, rng_, deadline);
  for (std::size_t k = 0; k < free.size(); ++k) x[free[k]] = chosen[k];
  return static_cast<double>(state_.energy()) + change;
}

/// Takes out of x, where its true costs break the budget that the rounded ones keep, what that costs least;
/// its energy, +infinity if no single one is enough.
double KnapsackTabu::within_budget(Mask& x) const {
  const auto energy = static_cast<double>(state_.energy());
  double over = -constraint_.capacity - cost_tolerance(constraint_);
  for (std::size_t i = 0; i < x.size(); ++i) over += x[i] != 0 ? constraint_.costs[i] : 0;
  if (over <= 0) return energy;
  std::size_t out = DenseState::kNone;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == 0 || state_.is_fixed(i) || constraint_.costs[i] < over) continue;
    if (out == DenseState::kNone || state_.gain(i) < state_.gain(out)) out = i;
  }
  if (out == DenseState::kNone) return std::numeric_limits<double>::infinity();
  x[out] = 0;
  return energy + static_cast<double>(state_.gain(out));
}

/// Takes the state up, or where costs are rounded a selection near it that meets the total or the budget.
void KnapsackTabu::take(Found& found, const Deadline& deadline) {
  Mask x = state_.x();
  const double whole = rounds_total()   ? meet_rounded_total(x, deadline)
                       : costs_.rounded ? within_budget(x)
                                        : static_cast<double>(state_.energy());
  const double energy = energy_of(state_, whole);
  if (!(energy < found.energy)) return;
  found.energy = energy;
  found.x = std::move(x);
}

Found KnapsackTabu::improve(const Task& task, const Deadline& deadline) {
  rng_ = Rng(task.seed);
  Mask start = task.start;
  for (std::size_t i = 0; i < start.size(); ++i)
    if (state_.is_fixed(i)) start[i] = static_cast<std::uint8_t>(constraint_.fixed[i]);
  // A random start is thinned, so that the greedy filling has a say.
  const std::uint32_t sides = 2 + rng_.below(9);
  if (task.fresh)
    for (std::size_t i = 0; i < start.size(); ++i)
      if (!state_.is_fixed(i) && rng_.below(sides) != 0) start[i] = 0;
  tabu_.clear(state_);
  state_.move_to(start);
  const std::int64_t moves_before = state_.moves();
  Found found;
  found.energy = std::numeric_limits<double>::infinity();
  if (make_feasible()) {
    const bool rounded = rounds_total();
    ElitePool others(task.keep, task.keep_distance);
    std::int64_t lowest = state_.energy(), last = 0;
    bool pending = true;  // where costs are rounded, only local optima are taken up
    auto take_pending = [&] {
      take(found, deadline);
      pending = false;
    };
    auto note = [&](std::int64_t now) {
      if (task.keep > 1 && !costs_.rounded)
        others.insert(state_.x(), energy_of(state_, static_cast<double>(state_.energy())));
      if (state_.energy() < lowest) {
        lowest = state_.energy();
        last = now;
        pending = true;
      }
      if (pending && !rounded) take_pending();
    };
    note(0);
    for (std::int64_t searched = 0; searched - last < patience_; ++searched) {
      if (found.energy <= task.target || state_.moves() - moves_before >= task.moves) break;
      if ((searched & 15) == 0 && deadline.expired()) break;
      if (searched > last && (searched - last) % kShakeAfter == 0) {
        if (!shake()) break;
        note(searched);
      }
      const Move move = best_move();
      if (pending && move.gain >= 0) take_pending();
      if (move.gain == DenseState::kNoGain) {
        tabu_.clear(state_);
        state_.rescan();
        continue;
      }
      apply(move);
      note(searched);
    }
    if (pending) take_pending();
    if (costs_.rounded && !found.x.empty()) others.insert(found.x, found.energy);
    if (task.keep > 1) found.others.assign(others.members().begin(), others.members().end());
  }
  tabu_.clear(state_);
  found.moves = std::max<std::int64_t>(1, state_.moves() - moves_before);
  return found;
}

}  // namespace quboprune
