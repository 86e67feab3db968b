#include "solvers/dense_tabu.h"

#include <algorithm>
#include <cmath>

#include "solvers/elite_pool.h"

namespace quboprune {
namespace {

int base_tenure(int free_ones, int free_zeros, bool swaps) {
  const int n = free_ones + free_zeros;
  // A swap holds two variables, and one side may be small: half of it must stay free to move.
  if (swaps) return std::clamp(std::min({n / 100, free_ones / 4, free_zeros / 4}), 1, 15);
  return std::clamp(n / 100, 1, 100);
}

}  // namespace

DenseTabu::DenseTabu(const DenseMatrix& matrix, const Constraint& constraint)
    : constraint_(constraint), state_(matrix, constraint.fixed), tabu_(matrix.size(), 128) {
  const int n = static_cast<int>(matrix.size());
  most_ = constraint.kind == Constraint::Kind::none ? n : static_cast<int>(constraint.capacity);
  fewest_ = constraint.kind == Constraint::Kind::exactly ? most_ : 0;
  int free = 0, fixed_ones = 0;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    free += state_.is_fixed(i) ? 0 : 1;
    fixed_ones += state_.is_fixed(i) && constraint.fixed[i] == 1 ? 1 : 0;
  }
  const int ones = std::clamp(most_ - fixed_ones, 0, free);
  base_tenure_ = base_tenure(ones, free - ones, fewest_ == most_);
  patience_ = std::max<std::int64_t>(5 * free, 3000);
}

void DenseTabu::make_feasible() {
  state_.release_all();
  while (state_.kept() > most_) state_.flip(state_.best_removal(rng_()));
  while (state_.kept() < fewest_) state_.flip(state_.best_addition(rng_()));
  state_.release_all();
}

void DenseTabu::held_flip(std::size_t i) {
  tabu_.advance(state_);
  state_.flip(i);
  tabu_.forbid(state_, i, tenure());
  moved_[0] = i;
  moved_count_ = 1;
}

/// The mask before the last move.
Mask DenseTabu::mask_before() const {
  Mask mask = state_.x();
  for (int k = 0; k < moved_count_; ++k) mask[moved_[k]] ^= 1;
  return mask;
}

bool DenseTabu::swap() {
  const std::size_t out = state_.best_removal(rng_());
  const std::size_t in = state_.best_addition(rng_());
  if (out == DenseState::kNone || in == DenseState::kNone) return false;
  tabu_.advance(state_);
  state_.swap(out, in);
  tabu_.forbid(state_, out, tenure());
  tabu_.forbid(state_, in, tenure());
  moved_[0] = out;
  moved_[1] = in;
  moved_count_ = 2;
  return true;
}

bool DenseTabu::move() {
  if (fewest_ == most_) return swap();
  const std::int64_t removal = state_.removal_gain();
  const std::int64_t addition = state_.addition_gain();
  const bool may_add = state_.kept() < most_;
  if (!may_add && addition < 0 && removal != DenseState::kNoGain) return swap();
  const bool add = may_add && (addition < removal || (addition == removal && rng_() >> 63 != 0));
  const std::size_t i = add ? state_.best_addition(rng_()) : state_.best_removal(rng_());
  if (i == DenseState::kNone) return false;
  held_flip(i);
  return true;
}

Found DenseTabu::improve(const Task& task, const Deadline& deadline) {
  rng_ = Rng(task.seed);
  Mask start = task.start;
  for (std::size_t i = 0; i < start.size(); ++i)
    if (state_.is_fixed(i)) start[i] = static_cast<std::uint8_t>(constraint_.fixed[i]);
  state_.move_to(start);
  // Getting there depends on the task before; it isn't counted.
  const std::int64_t moves_before = state_.moves();
  make_feasible();
  const DenseMatrix& matrix = state_.matrix();
  const auto target = static_cast<std::int64_t>(
      std::max(-0x1p60, std::floor((task.target - matrix.offset()) / matrix.scale())));
  Found found{state_.x(), 0, 0, {}};
  std::int64_t best = state_.energy();
  std::int64_t searched = 0, last_gain = 0;
  ElitePool others(task.keep, task.keep_distance);
  auto energy = [&](std::int64_t whole) {
    return static_cast<double>(whole) * matrix.scale() + matrix.offset();
  };
  bool at_best = false;  // A new best is copied once the search leaves it, not on every step of a descent.
  while (best > target && searched - last_gain < patience_ && state_.moves() - moves_before < task.moves) {
    // A descent goes on: it costs no more than what reading the matrix took.
    if ((++searched & 127) == 0 && deadline.expired() && (!at_best || deadline.stopped())) break;
    const std::int64_t before = state_.energy();
    if (!move()) {
      // Everything is held (few free variables): let time pass.
      tabu_.clear(state_);
      state_.rescan();
      if (searched - last_gain > 100) break;
      continue;
    }
    if (task.keep > 1 && state_.energy() > before && others.wants(energy(before)))
      others.insert(mask_before(), energy(before));
    if (state_.energy() < best) {
      best = state_.energy();
      last_gain = searched;
      at_best = true;
    } else if (at_best) {
      found.x = mask_before();
      at_best = false;
    }
  }
  if (at_best) found.x = state_.x();
  tabu_.clear(state_);
  found.energy = energy(best);
  if (task.keep > 1) found.others.assign(others.members().begin(), others.members().end());
  found.moves = state_.moves() - moves_before;
  return found;
}

}  // namespace quboprune
