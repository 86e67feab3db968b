#include "solvers/semidefinite_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/clones.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

/// How far the vectors go towards their best between two steps of the multipliers.
constexpr int kSweepsAStep = 6;

/// A count of spins and its multiplier.
struct SpinCount {
  std::vector<std::size_t> spins;
  double fewest = 0, most = 0, multiplier = 0;
  /// What a multiplier takes off the energy of a solution that just obeys the count.
  double allowance(double m) const { return m * (m > 0 ? most : fewest); }
};

/// 1/2 s'Cs in rows of neighbours; spin n is the one that stands for the linear terms, the last in each row.
struct SpinForm {
  std::size_t size = 0;
  double constant = 0;
  std::vector<std::size_t> row_begin;
  std::vector<std::size_t> neighbour;
  std::vector<double> weight;
  std::vector<SpinCount> counts;
  double penalty = 0;  ///< l of the counts
};

/// A penalty that makes the all-ones direction of a count about as steep as the couplings make others.
/// Measured on random and max-diversity problems of 40 to 60 variables: half or twice of it change the bound
/// by less than 1 % of its distance; ten times of it slows the vectors down.
double penalty_for(const FreePart& part) {
  double squares = 0;
  for (const std::size_t i : part.items)
    for (const std::size_t j : part.items) {
      const double b = i == j ? 0 : part.problem.coupling(i, j);
      squares += b * b;
    }
  const auto n = static_cast<double>(part.items.size());
  return std::sqrt(squares / (n * n));
}

void add_counts(const FreePart& part, SpinForm& form) {
  if (part.counts.empty()) return;
  std::vector<std::size_t> spin(part.problem.size());
  for (std::size_t p = 0; p < part.items.size(); ++p) spin[part.items[p]] = p;
  form.penalty = penalty_for(part);
  for (const CountClass& counted : part.counts) {
    // Any number of them: the square would be below zero for nothing.
    if (counted.fewest <= 0 && counted.most >= static_cast<int>(counted.free.size())) continue;
    SpinCount count;
    for (const std::uint32_t i : counted.free) count.spins.push_back(spin[i]);
    count.fewest = counted.fewest;
    count.most = counted.most;
    form.counts.push_back(std::move(count));
  }
}

/// What the counts' squares, l (sum x - fewest) (sum x - most), add: to the constant,
/// to each spin's linear term (returned), and between spins of one class, numbered from 1 in `class_of` (0:
/// in none).
std::vector<double> add_squares(SpinForm& form, std::vector<std::size_t>& class_of) {
  std::vector<double> linear(class_of.size(), 0.0);
  for (std::size_t c = 0; c < form.counts.size(); ++c) {
    const SpinCount& count = form.counts[c];
    form.constant += form.penalty * count.fewest * count.most;
    for (const std::size_t p : count.spins) {
      class_of[p] = c + 1;
      linear[p] = form.penalty * (1 - count.fewest - count.most);
    }
  }
  return linear;
}

SpinForm spin_form(const FreePart& part) {
  const std::size_t n = part.items.size();
  SpinForm form;
  form.size = n + 1;
  form.constant = part.constant;
  form.row_begin.push_back(0);
  add_counts(part, form);
  std::vector<std::size_t> class_of(n, 0);
  const std::vector<double> squared = add_squares(form, class_of);
  std::vector<double> last(n);
  for (std::size_t p = 0; p < n; ++p) {
    const std::size_t i = part.items[p];
    const double linear = part.linear[i] + squared[p];
    last[p] = linear / 2;
    form.constant += linear / 2;
    for (std::size_t q = 0; q < n; ++q) {
      if (p == q) continue;
      double b = part.problem.coupling(i, part.items[q]);
      if (class_of[p] != 0 && class_of[p] == class_of[q]) b += 2 * form.penalty;
      if (b == 0) continue;
      form.neighbour.push_back(q);
      form.weight.push_back(b / 4);
      last[p] += b / 4;
      form.constant += b / 8;
    }
    form.neighbour.push_back(n);
    form.weight.push_back(last[p]);
    form.row_begin.push_back(form.neighbour.size());
  }
  for (std::size_t p = 0; p < n; ++p) {
    form.neighbour.push_back(p);
    form.weight.push_back(last[p]);
  }
  form.row_begin.push_back(form.neighbour.size());
  return form;
}

void set_multiplier(SpinForm& form, SpinCount& count, double multiplier) {
  const double change = multiplier - count.multiplier;
  form.constant += change * static_cast<double>(count.spins.size()) / 2 -
                   (count.allowance(multiplier) - count.allowance(count.multiplier));
  for (const std::size_t p : count.spins) {
    form.weight[form.row_begin[p + 1] - 1] += change / 2;
    form.weight[form.row_begin[form.size - 1] + p] += change / 2;
  }
  count.multiplier = multiplier;
}

/// Unit vectors, one a spin, and the lengths of their fields.
class Vectors {
 public:
  explicit Vectors(const SpinForm& form)
      : form_(form),
        rank_(std::min<std::size_t>(
            static_cast<std::size_t>(std::sqrt(2.0 * static_cast<double>(form.size))) + 1, 48)),
        vectors_(form.size * rank_),
        field_(rank_),
        lengths_(form.size) {
    Rng rng(1);
    for (double& entry : vectors_) entry = rng.uniform() - 0.5;
    for (std::size_t i = 0; i < form_.size; ++i) {
      double* v = &vectors_[i * rank_];
      double squared = 0;
      for (std::size_t r = 0; r < rank_; ++r) squared += v[r] * v[r];
      for (std::size_t r = 0; r < rank_; ++r) v[r] /= std::sqrt(squared);
    }
  }

  /// Every vector is turned against its field. Returns the sum of the fields' lengths.
  double sweep() {
    double sum = 0;
    for (std::size_t i = 0; i < form_.size; ++i) {
      const double length = compute_field(i);
      sum += length;
      if (length <= 0) continue;
      double* v = &vectors_[i * rank_];
      for (std::size_t r = 0; r < rank_; ++r) v[r] = -field_[r] / length;
    }
    return sum;
  }

  /// How many of a count's variables are 1, so to say.
  double ones(const SpinCount& count) const {
    const double* last = &vectors_[(form_.size - 1) * rank_];
    double sum = 0;
    for (const std::size_t p : count.spins)
      for (std::size_t r = 0; r < rank_; ++r) sum += vectors_[p * rank_ + r] * last[r];
    return 0.5 * (static_cast<double>(count.spins.size()) + sum);
  }

  const std::vector<double>& lengths() {
    for (std::size_t i = 0; i < form_.size; ++i) lengths_[i] = compute_field(i);
    return lengths_;
  }

 private:
  double compute_field(std::size_t i) {
    std::fill(field_.begin(), field_.end(), 0.0);
    for (std::size_t e = form_.row_begin[i]; e < form_.row_begin[i + 1]; ++e) {
      const double* other = &vectors_[form_.neighbour[e] * rank_];
      for (std::size_t r = 0; r < rank_; ++r) field_[r] += form_.weight[e] * other[r];
    }
    double squared = 0;
    for (const double entry : field_) squared += entry * entry;
    return std::sqrt(squared);
  }

  const SpinForm& form_;
  std::size_t rank_;
  std::vector<double> vectors_, field_, lengths_;
};

QUBOPRUNE_CLONES void subtract(double* __restrict to, const double* __restrict from, double factor,
                               std::size_t count) {
  for (std::size_t j = 0; j < count; ++j) to[j] -= factor * from[j];
}

/// True if C + diag(y) + shift I has a Cholesky factor, with pivots above what rounding explains.
bool is_positive(const SpinForm& form, const std::vector<double>& y, double shift,
                 std::vector<double>& work) {
  const std::size_t n = form.size;
  work.assign(n * n, 0.0);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    work[i * n + i] = y[i] + shift;
    trace += y[i] + shift;
    for (std::size_t e = form.row_begin[i]; e < form.row_begin[i + 1]; ++e)
      work[i * n + form.neighbour[e]] += form.weight[e];
  }
  // Rump 2006: the factorisation of A - c I, c = n eps trace with room to spare, proves A semidefinite.
  const double margin = 4 * static_cast<double>(n) * std::numeric_limits<double>::epsilon() * trace;
  for (std::size_t i = 0; i < n; ++i) work[i * n + i] -= margin;
  for (std::size_t k = 0; k < n; ++k) {
    const double pivot = work[k * n + k];
    if (!(pivot > margin)) return false;
    const double* from = &work[k * n];
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = from[i] / pivot;
      if (factor == 0) continue;
      subtract(&work[i * n + i], from + i, factor, n - i);
    }
  }
  return true;
}

/// A step of the method of multipliers; false if all counts are met well enough.
bool move_multipliers(SpinForm& form, const Vectors& vectors) {
  bool moved = false;
  const double pace = 2 * form.penalty;
  for (SpinCount& count : form.counts) {
    const double met = vectors.ones(count);
    const double reached = count.multiplier + pace * met;
    const double multiplier = reached - std::clamp(reached, pace * count.fewest, pace * count.most);
    moved = moved || std::abs(multiplier - count.multiplier) > 0.01 * pace;
    set_multiplier(form, count, multiplier);
  }
  return moved;
}

double bound_with(const FreePart& part, int sweeps, const Deadline* deadline) {
  const double end = deadline == nullptr ? std::numeric_limits<double>::infinity()
                                         : deadline->seconds() - semidefinite_seconds(part.items.size());
  SpinForm form = spin_form(part);
  Vectors vectors(form);
  double sum = 0;
  for (int s = 1; s <= sweeps; ++s) {
    const double now = vectors.sweep();
    const bool settled = std::abs(now - sum) < 1e-5 * now;
    sum = now;
    // In between: a step right before the end would leave the vectors behind.
    const bool due = settled || s % kSweepsAStep == kSweepsAStep / 2;
    const bool moved = due && move_multipliers(form, vectors);
    if ((settled && !moved) || (deadline != nullptr && deadline->elapsed() > end)) break;
  }
  const std::vector<double>& y = vectors.lengths();
  double total = 0;
  for (const double length : y) total += length;
  const double mean = total / static_cast<double>(form.size);
  if (mean <= 0) return form.constant;
  std::vector<double> work;
  double shift = 2e-4 * mean;
  while (!is_positive(form, y, shift, work)) shift *= 2;
  return form.constant - total / 2 - static_cast<double>(form.size) * shift / 2;
}

}  // namespace

std::vector<CountClass> counts_of(const ReducedProblem& problem, const std::vector<std::size_t>& items,
                                  const Mask& x) {
  if (problem.kind == Constraint::Kind::none || !problem.costs.empty()) return {};
  std::vector<CountClass> counts = problem.classes;
  if (counts.empty()) {
    const int most = static_cast<int>(std::floor(problem.capacity + 1e-9));
    counts.push_back({{}, problem.kind == Constraint::Kind::exactly ? most : 0, most});
    for (std::size_t i = 0; i < problem.size(); ++i) counts[0].free.push_back(static_cast<std::uint32_t>(i));
  }
  std::vector<bool> open(problem.size(), false);
  for (const std::size_t i : items) open[i] = true;
  for (CountClass& counted : counts) {
    int ones = 0;
    for (const std::uint32_t i : counted.free) ones += !open[i] && x[i] != 0 ? 1 : 0;
    std::erase_if(counted.free, [&](std::uint32_t i) { return !open[i]; });
    counted.fewest = std::max(0, counted.fewest - ones);
    counted.most -= ones;
  }
  return counts;
}

double semidefinite_bound(const FreePart& part, int sweeps, const Deadline* deadline) {
  FreePart exact = part;
  std::erase_if(exact.counts, [](const CountClass& counted) { return !counted.exact(); });
  const double bound = bound_with(exact, sweeps, deadline);
  return exact.counts.size() == part.counts.size() ? bound
                                                   : std::max(bound, bound_with(part, sweeps, deadline));
}

}  // namespace quboprune
