#include "quboprune/tensor_train.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/clones.h"
#include "quboprune/error.h"
#include "search/train_arithmetic.h"

namespace quboprune {
namespace {

static_assert(TensorTrain::kTogether == kLanes);

/// Binary exponent of a share of the partition sum that no double feels, entries of up to e^8 allowed for. A
/// fitted train's counts keep to a narrow band: leaving the rest out halves a gradient's time.
constexpr int kNegligible = -87;

/// After so many factors a product is normalised: it can't leave a double's range before, nor can that of two
/// such products.
constexpr int kUnscaled = 8;

}  // namespace

TensorTrain::TensorTrain(CountRule rule, int rank)
    : rule_(std::move(rule)), rank_(static_cast<std::size_t>(std::max(rank, 1))), width_(padded(rank_)) {
  const auto n = rule_.weights.size();
  if (n == 0 || rank < 1) throw InputError("tensor train: needs at least one variable and a rank of 1");
  if (!rule_.fixed.empty() && rule_.fixed.size() != n)
    throw InputError("tensor train: " + std::to_string(rule_.fixed.size()) + " fixed values for " +
                     std::to_string(n) + " variables; give one each or none");
  if (std::any_of(rule_.weights.begin(), rule_.weights.end(), [](int w) { return w < 0; }))
    throw InputError("tensor train: a weight is negative; give weights of 0 or more");
  // Counts reachable from the left, cut to those from which the right end can still be reached.
  least_.assign(n + 1, 0);
  most_.assign(n + 1, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const int weight = rule_.weights[i], at = static_cast<int>(i);
    least_[i + 1] = least_[i] + (allowed(at, 0) ? 0 : weight);
    most_[i + 1] = most_[i] + (allowed(at, 1) ? weight : 0);
  }
  const std::vector<int> least = least_, most = most_;
  first_.assign(n + 2, 0);
  for (std::size_t i = 0; i <= n; ++i) {
    least_[i] = std::max(least[i], rule_.lowest - (most[n] - most[i]));
    most_[i] = std::min(most[i], rule_.highest - (least[n] - least[i]));
    if (least_[i] > most_[i])
      throw InputError("tensor train: no mask adds up to between " + std::to_string(rule_.lowest) + " and " +
                       std::to_string(rule_.highest) + "; weights and fixed values allow " +
                       std::to_string(least[n]) + " to " + std::to_string(most[n]));
    first_[i + 1] = first_[i] + static_cast<std::size_t>(most_[i] - least_[i] + 1);
  }
  theta_.assign(n * 2 * rank_ * rank_, 0.0);
  rows_.assign(n * 2 * rank_ * width_, 0.0);
  columns_ = rows_;
  left_ = right_ = empty_interfaces();
  prepare();
}

QUBOPRUNE_INLINE bool TensorTrain::allowed(int i, int bit) const {
  if (rule_.fixed.empty()) return true;
  const auto value = rule_.fixed[static_cast<std::size_t>(i)];
  return value < 0 || value == bit;
}

QUBOPRUNE_INLINE bool TensorTrain::reachable(int i, int count) const {
  const auto at = static_cast<std::size_t>(i);
  return count >= least_[at] && count <= most_[at];
}

QUBOPRUNE_INLINE std::size_t TensorTrain::state(int i, int count) const {
  const auto at = static_cast<std::size_t>(i);
  return first_[at] + static_cast<std::size_t>(count - least_[at]);
}

/// Where its rows begin.
QUBOPRUNE_INLINE std::size_t TensorTrain::core(int i, int bit) const {
  return static_cast<std::size_t>(i * 2 + bit) * rank_ * width_;
}

TensorTrain::Interfaces TensorTrain::empty_interfaces() const {
  return {std::vector<double>(first_.back() * width_), std::vector<int>(first_.back())};
}

/// Fills the interfaces `to`, before (i) or behind (i + 1) variable i, from those on its other side.
QUBOPRUNE_CLONES void TensorTrain::carry(int i, int to, Interfaces& interfaces) const {
  const auto at = static_cast<std::size_t>(to);
  const bool leftwards = to == i;
  const int from = leftwards ? i + 1 : i;
  const std::vector<double>& cores = leftwards ? columns_ : rows_;
  // Counts grow to the right by what the variable weighs where it is 1.
  const int weight = (leftwards ? 1 : -1) * rule_.weights[static_cast<std::size_t>(i)];
  const bool allow[2] = {allowed(i, 0), allowed(i, 1)};
  with_rank(rank_, [&](auto rank) {
    for (int count = least_[at]; count <= most_[at]; ++count) {
      std::size_t source[2];
      int exponent[2];
      for (int bit = 0; bit < 2; ++bit) {
        const bool there = allow[bit] && reachable(from, count + bit * weight);
        source[bit] = there ? state(from, count + bit * weight) : 0;
        exponent[bit] = there ? interfaces.exponents[source[bit]] : kNothing;
      }
      const int largest = std::max(exponent[0], exponent[1]);
      const std::size_t here = state(to, count);
      double* vector = interfaces.vectors.data() + here * width_;
      for (std::size_t w = 0; w < padded(rank); w += kPack) {
        Pack sum{};
        for (int bit = 0; bit < 2; ++bit)
          if (exponent[bit] > kNothing)
            sum += power_of_2(exponent[bit] - largest) *
                   product(cores.data() + core(i, bit), interfaces.vectors.data() + source[bit] * width_,
                           rank, w);
        store(sum, vector + w);
      }
      const int exponent_here = normalise(vector, rank);
      interfaces.exponents[here] = exponent_here > kNothing ? largest + exponent_here : kNothing;
    }
  });
}

/// rows_ and columns_ from theta_.
QUBOPRUNE_CLONES void TensorTrain::fill_cores() {
  std::vector<double> entries(padded(theta_.size()));
  std::copy(theta_.begin(), theta_.end(), entries.begin());
  for (std::size_t p = 0; p < entries.size(); p += kPack) store(exponential(load(&entries[p])), &entries[p]);
  const double* entry = entries.data();
  for (std::size_t begin = 0; begin < rows_.size(); begin += rank_ * width_)
    for (std::size_t a = 0; a < rank_; ++a)
      for (std::size_t b = 0; b < rank_; ++b, ++entry)
        rows_[begin + a * width_ + b] = columns_[begin + b * width_ + a] = *entry;
}

void TensorTrain::prepare() {
  fill_cores();
  const int n = size();
  for (int count = least_.back(); count <= most_.back(); ++count) {
    double* vector = right_.vectors.data() + state(n, count) * width_;
    std::fill(vector, vector + rank_, 1.0);
    right_.exponents[state(n, count)] = 0;
  }
  for (int i = n - 1; i >= 0; --i) carry(i, i, right_);
  partition_exponent_ = right_.exponents[0];
  if (partition_exponent_ <= kNothing)
    throw InputError("tensor train: no mask adds up to what is asked; allow a wider range of sums");
  partition_sum_ = 0;
  for (std::size_t a = 0; a < rank_; ++a) partition_sum_ += right_.vectors[a];
  log_partition_ = partition_exponent_ * kLogOf2 + std::log(partition_sum_);
}

bool TensorTrain::obeys(const Mask& x) const {
  if (static_cast<int>(x.size()) != size()) return false;
  int count = 0;
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (x[at] > 1 || !allowed(i, x[at])) return false;
    count += x[at] * rule_.weights[at];
  }
  return count >= rule_.lowest && count <= rule_.highest;
}

double TensorTrain::log_likelihood(const Mask& x) const {
  if (!obeys(x)) return -std::numeric_limits<double>::infinity();
  std::vector<double> left(width_, 1.0), next(width_);
  double exponent = 0;
  for (int i = 0; i < size(); ++i) {
    multiply(rows_.data() + core(i, x[static_cast<std::size_t>(i)]), left.data(), rank_, next.data());
    exponent += normalise(next.data(), rank_);
    left.swap(next);
  }
  double sum = 0;
  for (std::size_t a = 0; a < rank_; ++a) sum += left[a];
  return exponent * kLogOf2 + std::log(sum) - log_partition_;
}

std::vector<Mask> TensorTrain::sample(int count, Rng& rng) const {
  std::vector<Mask> masks(static_cast<std::size_t>(count), Mask(static_cast<std::size_t>(size())));
  for (std::size_t k = 0; k < masks.size(); k += kLanes)
    sample_together(std::span(masks).subspan(k, std::min(kLanes, masks.size() - k)), rng);
  return masks;
}

/// What follows variable i + 1 for each lane's count: `after` (rank x kLanes), and its exponents.
void TensorTrain::look_ahead(int i, int bit, const int* counts, double* after, int* exponents) const {
  const int weight = rule_.weights[static_cast<std::size_t>(i)];
  const bool allow = allowed(i, bit);
  const auto next = static_cast<std::size_t>(i) + 1;
  if (allow && weight == 0 && least_[next] == most_[next]) {  // no rule: all lanes look at the same
    const std::size_t at = first_[next];
    std::fill(exponents, exponents + kLanes, right_.exponents[at]);
    for (std::size_t a = 0; a < rank_; ++a)
      std::fill(after + a * kLanes, after + (a + 1) * kLanes, right_.vectors[at * width_ + a]);
    return;
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const int reached = counts[lane] + bit * weight;
    const bool there = allow && reachable(i + 1, reached);
    const std::size_t at = there ? state(i + 1, reached) : 0;
    exponents[lane] = there ? right_.exponents[at] : kNothing;
    for (std::size_t a = 0; a < rank_; ++a) after[a * kLanes + lane] = right_.vectors[at * width_ + a];
  }
}

/// Up to kLanes samples, each in a lane of its own: lanes do the same with the same cores, however their bits
/// and counts differ.
QUBOPRUNE_CLONES void TensorTrain::sample_together(std::span<Mask> masks, Rng& rng) const {
  std::vector<double> left(rank_ * kLanes, 1.0), after(left), moved[2] = {left, left};
  int counts[kLanes] = {}, exponents[2][kLanes];
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    double share[2][kLanes];
    for (int bit = 0; bit < 2; ++bit) {
      look_ahead(i, bit, counts, after.data(), exponents[bit]);
      multiply_lanes(rows_.data() + core(i, bit), left.data(), after.data(), rank_, moved[bit].data(),
                     share[bit]);
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const int largest = std::max(exponents[0][lane], exponents[1][lane]);
      for (int bit = 0; bit < 2; ++bit) share[bit][lane] *= power_of_2(exponents[bit][lane] - largest);
    }
    const Pack one = load(share[1]), both = load(share[0]) + one;
    Pack uniform;
    for (std::size_t lane = 0; lane < kLanes; ++lane) uniform[lane] = rng.uniform();
    // Strictly less: a bit of weight 0 is never taken, so the rule can't be left.
    const auto kept = uniform * both < one;
    for (std::size_t k = 0; k < left.size(); k += kLanes)
      store(kept ? load(&moved[1][k]) : load(&moved[0][k]), &left[k]);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (lane < masks.size()) masks[lane][at] = kept[lane] != 0;
      counts[lane] += kept[lane] != 0 ? rule_.weights[at] : 0;
    }
    if (i % kUnscaled == 0) normalise_lanes(left);
  }
}

/// uses -= d log Z / d core: the model's own expected use of every core entry, but for the entry itself.
QUBOPRUNE_CLONES void TensorTrain::take_partition_uses(std::span<double> uses) {
  left_.exponents[0] = 0;
  std::fill(left_.vectors.begin(), left_.vectors.begin() + static_cast<std::ptrdiff_t>(rank_), 1.0);
  for (int i = 0; i < size(); ++i) carry(i, i + 1, left_);
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    for (int bit = 0; bit < 2; ++bit) {
      if (!allowed(i, bit)) continue;
      with_rank(rank_, [&](auto rank) {
        for (int count = least_[at]; count <= most_[at]; ++count) {
          const int reached = count + bit * rule_.weights[at];
          if (!reachable(i + 1, reached)) continue;
          const std::size_t from = state(i, count), to = state(i + 1, reached);
          const int exponent = left_.exponents[from] + right_.exponents[to] - partition_exponent_;
          if (exponent < kNegligible) continue;
          add_outer(left_.vectors.data() + from * width_, right_.vectors.data() + to * width_,
                    -power_of_2(exponent) / partition_sum_, rank, uses.data() + core(i, bit));
        }
      });
    }
  }
}

/// uses += weight · d log w(x) / d core, w the unnormalised product; returns log w(x). `room`: that of n + 2
/// vectors.
QUBOPRUNE_CLONES double TensorTrain::add_mask_uses(const Mask& x, double weight, std::span<double> uses,
                                                   std::span<double> room) const {
  double *left = room.data(), *right = left + width_;
  const auto behind = [&](int i) { return right + static_cast<std::size_t>(i) * width_; };
  std::fill(room.begin(), room.end(), 0.0);
  std::fill(behind(size()), behind(size()) + rank_, 1.0);
  std::fill(left, left + rank_, 1.0);
  return with_rank(rank_, [&](auto rank) {
    double exponent = 0;
    for (int i = size() - 1; i >= 0; --i) {
      multiply(columns_.data() + core(i, x[static_cast<std::size_t>(i)]), behind(i + 1), rank, behind(i));
      if (i % kUnscaled == 0) exponent += normalise(behind(i), rank);
    }
    const double sum = dot(left, right, rank);
    for (int i = 0; i < size(); ++i) {
      const std::size_t at = core(i, x[static_cast<std::size_t>(i)]);
      double* next = behind(i);  // of no more use from here on
      multiply(rows_.data() + at, left, rank, next);
      add_outer(left, behind(i + 1), weight / dot(next, behind(i + 1), rank), rank, uses.data() + at);
      if (i % kUnscaled == 0) normalise(next, rank);
      left = next;
    }
    return exponent * kLogOf2 + std::log(sum);
  });
}

double TensorTrain::gradient(std::span<const Mask> masks, std::span<double> result) {
  check(result.size() == theta_.size(), "tensor train: gradient of the wrong size");
  check(!masks.empty(), "tensor train: gradient over no masks");
  std::vector<double> uses(rows_.size(), 0.0), room((rule_.weights.size() + 2) * width_);
  take_partition_uses(uses);
  double mean = -log_partition_;
  const double weight = 1.0 / static_cast<double>(masks.size());
  for (const Mask& x : masks) {
    if (!obeys(x)) throw InputError("tensor train: a mask of the gradient breaks the rule; leave it out");
    mean += weight * add_mask_uses(x, weight, uses, room);
  }
  double* entry = result.data();
  for (std::size_t begin = 0; begin < rows_.size(); begin += rank_ * width_)
    for (std::size_t a = 0; a < rank_; ++a)
      for (std::size_t b = 0; b < rank_; ++b, ++entry)
        *entry = rows_[begin + a * width_ + b] * uses[begin + a * width_ + b];
  return mean;
}

}  // namespace quboprune
