#include "solvers/anneal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "solvers/elite_pool.h"

namespace quboprune {
namespace {

constexpr double kDiceSides = 4096;
constexpr int kSweepsALook = 4;  ///< at the clock, which costs more than a few flips

/// Twelve random bits at a time from one 64-bit draw.
class Dice {
 public:
  explicit Dice(Rng& rng) : rng_(rng) {}
  std::size_t roll() {
    if (left_ == 0) {
      bits_ = rng_();
      left_ = 5;
    }
    --left_;
    const std::size_t face = bits_ & 4095;
    bits_ >>= 12;
    return face;
  }

 private:
  Rng& rng_;
  std::uint64_t bits_ = 0;
  int left_ = 0;
};

}  // namespace

template <typename Model>
Anneal<Model>::Anneal(const StructuredProblem& problem, const Constraint& constraint, Schedule schedule)
    : constraint_(constraint), model_(problem), schedule_(schedule) {
  for (CountClass& counted : count_classes(constraint, problem.size))
    if (!counted.free.empty()) classes_.push_back({std::move(counted), {}, {}, 0});
  // -ln u: what a move at temperature 1 may cost, drawn by table.
  for (std::size_t k = 0; k < dice_.size(); ++k)
    dice_[k] = static_cast<float>(-std::log((static_cast<double>(k) + 0.5) / kDiceSides));
  spread_ = spread();
}

/// Standard deviation of the gains at a random selection; that of their mean would tell of a drift that a
/// count takes away.
template <typename Model>
double Anneal<Model>::spread() {
  Rng rng(1);
  for (const Class& counted : classes_) {
    const double share = counted.exact() ? counted.most / static_cast<double>(counted.free.size()) : 0.5;
    for (const std::uint32_t i : counted.free)
      if (rng.uniform() < share) model_.flip(i);
  }
  double sum = 0, squares = 0, count = 0;
  for (const Class& counted : classes_)
    for (const std::uint32_t i : counted.free) {
      // As dE/dx_i, so that kept and removed ones compare.
      const double field = static_cast<double>(model_.gain(i)) * (model_.x()[i] != 0 ? -1.0 : 1.0);
      sum += field;
      squares += field * field;
      ++count;
    }
  count = std::max(count, 1.0);
  const double variance = squares / count - (sum / count) * (sum / count);
  for (std::size_t i = 0; i < model_.size(); ++i)
    if (model_.x()[i] != 0) model_.flip(i);
  return variance > 0 ? std::sqrt(variance) : 1.0;
}

template <typename Model>
void Anneal<Model>::list_sides(Class& counted) {
  counted.ones.clear();
  counted.zeros.clear();
  for (const std::uint32_t i : counted.free) (model_.x()[i] != 0 ? counted.ones : counted.zeros).push_back(i);
}

template <typename Model>
void Anneal<Model>::start_from(const Task& task) {
  // From scratch: rounding errors of the task before must not show.
  model_.reset();
  for (std::size_t i = 0; i < constraint_.fixed.size(); ++i)
    if (constraint_.fixed[i] == 1) model_.flip(i);
  for (Class& counted : classes_) {
    counted.kept = 0;
    for (const std::uint32_t i : counted.free)
      if (task.start[i] != 0) flip(counted, i);
  }
  flips_ = 0;
  auto draw = [&](std::vector<std::uint32_t>& from) {
    const std::size_t k = rng_.below(static_cast<std::uint32_t>(from.size()));
    const std::uint32_t i = from[k];
    from[k] = from.back();
    from.pop_back();
    return i;
  };
  for (Class& counted : classes_) {
    list_sides(counted);
    while (counted.kept > counted.most) flip(counted, draw(counted.ones));
    while (counted.kept < counted.fewest) flip(counted, draw(counted.zeros));
    list_sides(counted);
  }
}

template <typename Model>
void Anneal<Model>::sweep(double temperature) {
  for (Class& counted : classes_)
    if (counted.exact())
      sweep_swaps(counted, temperature);
    else
      sweep_flips(counted, temperature);
}

template <typename Model>
void Anneal<Model>::sweep_flips(Class& counted, double temperature) {
  Dice dice(rng_);
  const auto scale = static_cast<float>(temperature);
  const bool limited = counted.fewest > 0 || counted.most < static_cast<int>(counted.free.size());
  for (const std::uint32_t i : counted.free) {
    const float allowance = scale * dice_[dice.roll()];
    if (static_cast<float>(model_.gain(i)) > allowance) continue;
    if (limited && !counted.may_flip(model_.x()[i] != 0)) continue;
    flip(counted, i);
  }
  if (!limited || (counted.kept < counted.most && counted.kept > counted.fewest)) return;
  list_sides(counted);
  sweep_swaps(counted, temperature);
}

template <typename Model>
void Anneal<Model>::sweep_swaps(Class& counted, double temperature) {
  if (counted.ones.empty() || counted.zeros.empty()) return;
  Dice dice(rng_);
  const auto ones = static_cast<std::uint32_t>(counted.ones.size());
  const auto zeros = static_cast<std::uint32_t>(counted.zeros.size());
  for (std::size_t k = 0; k < counted.free.size(); ++k) {
    std::uint32_t& out = counted.ones[rng_.below(ones)];
    std::uint32_t& in = counted.zeros[rng_.below(zeros)];
    const double allowance = temperature * static_cast<double>(dice_[dice.roll()]);
    const auto gain = static_cast<double>(model_.gain(out) + model_.gain(in) - model_.coupling(out, in));
    if (gain > allowance) continue;
    flip(counted, out);
    flip(counted, in);
    std::swap(out, in);
  }
}

/// Improving flips while there are any; true if there were.
template <typename Model>
bool Anneal<Model>::descend_by_flips(Class& counted, const Deadline& deadline) {
  bool any = false;
  for (bool gained = true; gained && !deadline.stopped();) {
    gained = false;
    for (const std::uint32_t i : counted.free) {
      if (!(static_cast<double>(model_.gain(i)) < -1e-9 * spread_)) continue;
      if (!counted.may_flip(model_.x()[i] != 0)) continue;
      flip(counted, i);
      gained = any = true;
    }
  }
  return any;
}

/// The best removal with the best addition after it, while they pay; true if any did.
template <typename Model>
bool Anneal<Model>::descend_by_swaps(Class& counted, const Deadline& deadline) {
  list_sides(counted);
  if (counted.ones.empty() || counted.zeros.empty()) return false;
  auto cheapest = [&](std::vector<std::uint32_t>& side) -> std::uint32_t& {
    std::size_t best = 0;
    auto least = model_.gain(side[0]);
    for (std::size_t k = 1; k < side.size(); ++k) {
      const auto gain = model_.gain(side[k]);
      if (gain < least) best = k, least = gain;
    }
    return side[best];
  };
  bool any = false;
  for (; !deadline.overdue(); any = true) {
    std::uint32_t& out = cheapest(counted.ones);
    const double before = model_.energy();
    flip(counted, out);
    std::uint32_t& in = cheapest(counted.zeros);
    flip(counted, in);
    if (!(model_.energy() < before - 1e-9 * spread_)) {
      flip(counted, in);
      flip(counted, out);
      break;
    }
    std::swap(in, out);
  }
  return any;
}

template <typename Model>
void Anneal<Model>::descend(const Deadline& deadline) {
  for (bool gained = true; gained;) {
    gained = false;
    for (Class& counted : classes_)
      if (counted.exact() ? descend_by_swaps(counted, deadline) : descend_by_flips(counted, deadline))
        gained = true;
    if (classes_.size() <= 1) return;
  }
}

template <typename Model>
Found Anneal<Model>::improve(const Task& task, const Deadline& deadline) {
  rng_ = Rng(task.seed);
  start_from(task);
  Found found{model_.x(), model_.energy(), 0, {}};
  ElitePool others(task.keep, task.keep_distance);
  auto note = [&] {
    if (task.keep > 1) others.insert(model_.x(), model_.energy());
    if (!(model_.energy() < found.energy)) return;
    found.energy = model_.energy();
    found.x = model_.x();
  };
  const double hottest = spread_ * (task.fresh ? schedule_.hottest : schedule_.reheat);
  const double coldest = spread_ * schedule_.coldest;
  const int sweeps = std::max(1, task.fresh ? schedule_.sweeps : schedule_.sweeps / 2);
  const bool limited = task.moves < std::numeric_limits<std::int64_t>::max();
  const double begun = deadline.elapsed();
  double gone = 0;  // of what the task may take
  for (int s = 0; s < sweeps && flips_ < task.moves && found.energy > task.target; ++s) {
    if (deadline.expired()) break;
    // What ends the task before its sweeps do finds it cold too.
    if (s % kSweepsALook == 0)
      gone = limited ? static_cast<double>(flips_) / static_cast<double>(task.moves)
                     : (deadline.elapsed() - begun) / (deadline.seconds() - begun);
    const double done = std::min(1.0, std::max(static_cast<double>(s) / sweeps, gone));
    sweep(hottest + (coldest - hottest) * done);
    if (done > 0.5) note();
  }
  descend(deadline);
  note();
  found.moves = std::max<std::int64_t>(flips_, 1);
  if (task.keep > 1) found.others.assign(others.members().begin(), others.members().end());
  return found;
}

template class Anneal<SparseModel>;
template class Anneal<StructuredModel>;

}  // namespace quboprune
