#include "solvers/anneal.h"

#include <algorithm>
#include <cmath>

#include "solvers/elite_pool.h"

namespace quboprune {
namespace {

constexpr double kDiceSides = 4096;

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
  const auto n = static_cast<double>(problem.size);
  const bool limited = constraint.kind != Constraint::Kind::none;
  most_ = static_cast<int>(limited ? std::min(n, std::floor(constraint.capacity + 1e-9)) : n);
  fewest_ = constraint.kind == Constraint::Kind::exactly ? most_ : 0;
  for (std::size_t i = 0; i < problem.size; ++i)
    if (constraint.fixed.empty() || constraint.fixed[i] < 0) free_.push_back(static_cast<std::uint32_t>(i));
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
  const double share =
      static_cast<double>(fewest_ == most_ ? most_ : free_.size() / 2) / static_cast<double>(model_.size());
  for (const std::uint32_t i : free_)
    if (rng.uniform() < share) model_.flip(i);
  double sum = 0, squares = 0;
  for (const std::uint32_t i : free_) {
    // As dE/dx_i, so that kept and removed ones compare.
    const double field = static_cast<double>(model_.gain(i)) * (model_.x()[i] != 0 ? -1.0 : 1.0);
    sum += field;
    squares += field * field;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(free_.size(), 1));
  const double variance = squares / count - (sum / count) * (sum / count);
  for (std::size_t i = 0; i < model_.size(); ++i)
    if (model_.x()[i] != 0) model_.flip(i);
  return variance > 0 ? std::sqrt(variance) : 1.0;
}

template <typename Model>
void Anneal<Model>::list_sides() {
  ones_.clear();
  zeros_.clear();
  for (const std::uint32_t i : free_) (model_.x()[i] != 0 ? ones_ : zeros_).push_back(i);
}

template <typename Model>
void Anneal<Model>::start_from(const Task& task) {
  // From scratch: rounding errors of the task before must not show.
  model_.reset();
  kept_ = 0;
  for (std::size_t i = 0; i < model_.size(); ++i) {
    const bool fixed = !constraint_.fixed.empty() && constraint_.fixed[i] >= 0;
    const bool wanted = fixed ? constraint_.fixed[i] == 1 : task.start[i] != 0;
    if (wanted) flip(i);
  }
  flips_ = 0;
  list_sides();
  auto draw = [&](std::vector<std::uint32_t>& from) {
    const std::size_t k = rng_.below(static_cast<std::uint32_t>(from.size()));
    const std::uint32_t i = from[k];
    from[k] = from.back();
    from.pop_back();
    return i;
  };
  while (kept_ > most_) flip(draw(ones_));
  while (kept_ < fewest_) flip(draw(zeros_));
  list_sides();
}

template <typename Model>
void Anneal<Model>::sweep_flips(double temperature) {
  Dice dice(rng_);
  const auto scale = static_cast<float>(temperature);
  const bool limited = most_ < static_cast<int>(model_.size());
  for (const std::uint32_t i : free_) {
    const float allowance = scale * dice_[dice.roll()];
    if (static_cast<float>(model_.gain(i)) > allowance) continue;
    if (limited && kept_ >= most_ && model_.x()[i] == 0) continue;
    flip(i);
  }
  if (!limited || kept_ < most_) return;
  list_sides();
  sweep_swaps(temperature);
}

template <typename Model>
void Anneal<Model>::sweep_swaps(double temperature) {
  if (ones_.empty() || zeros_.empty()) return;
  Dice dice(rng_);
  const auto ones = static_cast<std::uint32_t>(ones_.size());
  const auto zeros = static_cast<std::uint32_t>(zeros_.size());
  for (std::size_t k = 0; k < free_.size(); ++k) {
    std::uint32_t& out = ones_[rng_.below(ones)];
    std::uint32_t& in = zeros_[rng_.below(zeros)];
    const double allowance = temperature * static_cast<double>(dice_[dice.roll()]);
    const auto gain = static_cast<double>(model_.gain(out) + model_.gain(in) - model_.coupling(out, in));
    if (gain > allowance) continue;
    flip(out);
    flip(in);
    std::swap(out, in);
  }
}

/// Steepest flips, or best removal with best addition, while they pay.
template <typename Model>
void Anneal<Model>::descend() {
  if (fewest_ != most_) {
    for (bool gained = true; gained;) {
      gained = false;
      for (const std::uint32_t i : free_) {
        if (!(static_cast<double>(model_.gain(i)) < -1e-9 * spread_)) continue;
        if (model_.x()[i] == 0 && kept_ >= most_) continue;
        flip(i);
        gained = true;
      }
    }
    return;
  }
  list_sides();
  if (ones_.empty() || zeros_.empty()) return;
  auto cheaper = [&](std::uint32_t a, std::uint32_t b) { return model_.gain(a) < model_.gain(b); };
  while (true) {
    const auto out = std::min_element(ones_.begin(), ones_.end(), cheaper);
    const double before = model_.energy();
    flip(*out);
    const auto in = std::min_element(zeros_.begin(), zeros_.end(), cheaper);
    flip(*in);
    if (!(model_.energy() < before - 1e-9 * spread_)) {
      flip(*in);
      flip(*out);
      return;
    }
    std::swap(*in, *out);
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
  for (int s = 0; s < sweeps && flips_ < task.moves && found.energy > task.target; ++s) {
    if (deadline.expired()) break;
    const double done = static_cast<double>(s) / sweeps;
    sweep(hottest + (coldest - hottest) * done);
    if (s * 2 > sweeps) note();
  }
  descend();
  note();
  found.moves = std::max<std::int64_t>(flips_, 1);
  if (task.keep > 1) found.others.assign(others.members().begin(), others.members().end());
  return found;
}

template class Anneal<SparseModel>;
template class Anneal<StructuredModel>;

}  // namespace quboprune
