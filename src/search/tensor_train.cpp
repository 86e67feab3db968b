#include "quboprune/tensor_train.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

/// Logarithm of a share of the partition sum that no double feels, entries of up to e^8 allowed for. A fitted
/// train's counts keep to a narrow band: leaving the rest out halves a gradient's time.
constexpr double kNegligible = -60;

/// Brings the largest entry of a non-negative vector to 1; returns what was divided out.
double scale_down(double* vector, int rank) {
  const double largest = *std::max_element(vector, vector + rank);
  if (largest > 0)
    for (int a = 0; a < rank; ++a) vector[a] /= largest;
  return largest;
}

/// The same; returns the logarithm.
double normalise(double* vector, int rank) {
  const double largest = scale_down(vector, rank);
  return largest > 0 ? std::log(largest) : kNothing;
}

/// result += scale · matrix · vector
void multiply_right(const double* matrix, const double* vector, double scale, int rank, double* result) {
  for (int a = 0; a < rank; ++a) {
    double sum = 0;
    for (int b = 0; b < rank; ++b) sum += matrix[a * rank + b] * vector[b];
    result[a] += scale * sum;
  }
}

/// result += scale · vector' · matrix
void multiply_left(const double* matrix, const double* vector, double scale, int rank, double* result) {
  for (int a = 0; a < rank; ++a) {
    const double factor = scale * vector[a];
    for (int b = 0; b < rank; ++b) result[b] += factor * matrix[a * rank + b];
  }
}

double dot(const double* x, const double* y, int rank) {
  double sum = 0;
  for (int a = 0; a < rank; ++a) sum += x[a] * y[a];
  return sum;
}

}  // namespace

TensorTrain::TensorTrain(CountRule rule, int rank) : rule_(std::move(rule)), rank_(rank) {
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
  for (std::size_t i = 0; i <= n; ++i) {
    least_[i] = std::max(least[i], rule_.lowest - (most[n] - most[i]));
    most_[i] = std::min(most[i], rule_.highest - (least[n] - least[i]));
    if (least_[i] > most_[i])
      throw InputError("tensor train: no mask adds up to between " + std::to_string(rule_.lowest) + " and " +
                       std::to_string(rule_.highest) + "; weights and fixed values allow " +
                       std::to_string(least[n]) + " to " + std::to_string(most[n]));
  }
  theta_.assign(n * 2 * static_cast<std::size_t>(rank * rank), 0.0);
  prepare();
}

bool TensorTrain::allowed(int i, int bit) const {
  if (rule_.fixed.empty()) return true;
  const auto value = rule_.fixed[static_cast<std::size_t>(i)];
  return value < 0 || value == bit;
}

const double* TensorTrain::core(int i, int bit) const {
  return cores_.data() + static_cast<std::ptrdiff_t>(i * 2 + bit) * rank_ * rank_;
}

TensorTrain::Interface TensorTrain::empty_interface(int i) const {
  const auto at = static_cast<std::size_t>(i);
  const auto counts = static_cast<std::size_t>(most_[at] - least_[at] + 1);
  return {least_[at], std::vector<double>(counts, kNothing),
          std::vector<double>(counts * static_cast<std::size_t>(rank_), 0.0)};
}

template <typename Multiply>
TensorTrain::Interface TensorTrain::carried(const Interface& from, int i, int to, Multiply multiply) const {
  Interface here = empty_interface(to);
  // Counts grow to the right by what the variable weighs where it is 1.
  const int weight = (to == i ? 1 : -1) * rule_.weights[static_cast<std::size_t>(i)];
  for (int k = 0; k < here.counts(); ++k) {
    double exponent[2];
    for (int bit = 0; bit < 2; ++bit) {
      const int count = here.lowest + k + bit * weight;
      exponent[bit] = allowed(i, bit) && from.has(count)
                          ? from.exponents[static_cast<std::size_t>(count - from.lowest)]
                          : kNothing;
    }
    const double largest = std::max(exponent[0], exponent[1]);
    if (largest == kNothing) continue;
    double* vector = here.vectors.data() + static_cast<std::ptrdiff_t>(k) * rank_;
    for (int bit = 0; bit < 2; ++bit) {
      if (exponent[bit] == kNothing) continue;
      const std::ptrdiff_t at = here.lowest + k + bit * weight - from.lowest;
      multiply(core(i, bit), from.vectors.data() + at * rank_, std::exp(exponent[bit] - largest), rank_,
               vector);
    }
    here.exponents[static_cast<std::size_t>(k)] = largest + normalise(vector, rank_);
  }
  return here;
}

void TensorTrain::fill_right(int i) {
  const auto at = static_cast<std::size_t>(i);
  right_[at] = carried(right_[at + 1], i, i, multiply_right);
}

void TensorTrain::prepare() {
  cores_.resize(theta_.size());
  std::transform(theta_.begin(), theta_.end(), cores_.begin(), [](double t) { return std::exp(t); });
  right_.resize(static_cast<std::size_t>(size()) + 1);
  Interface end = empty_interface(size());
  std::fill(end.exponents.begin(), end.exponents.end(), 0.0);
  std::fill(end.vectors.begin(), end.vectors.end(), 1.0);
  right_.back() = std::move(end);
  for (int i = size() - 1; i >= 0; --i) fill_right(i);
  const Interface& first = right_.front();
  log_partition_ = first.exponents[0];
  if (log_partition_ == kNothing)
    throw InputError("tensor train: no mask adds up to what is asked; allow a wider range of sums");
  double sum = 0;
  for (int a = 0; a < rank_; ++a) sum += first.vectors[static_cast<std::size_t>(a)];
  log_partition_ += std::log(sum);
}

bool TensorTrain::obeys(const Mask& x) const {
  if (static_cast<int>(x.size()) != size()) return false;
  int count = 0;
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!allowed(i, x[at])) return false;
    count += x[at] * rule_.weights[at];
  }
  return count >= rule_.lowest && count <= rule_.highest;
}

double TensorTrain::log_likelihood(const Mask& x) const {
  if (!obeys(x)) return kNothing;
  std::vector<double> left(static_cast<std::size_t>(rank_), 1.0), next(left.size());
  double exponent = 0;
  for (int i = 0; i < size(); ++i) {
    std::fill(next.begin(), next.end(), 0.0);
    multiply_left(core(i, x[static_cast<std::size_t>(i)]), left.data(), 1, rank_, next.data());
    exponent += normalise(next.data(), rank_);
    left.swap(next);
  }
  double sum = 0;
  for (const double value : left) sum += value;
  return exponent + std::log(sum) - log_partition_;
}

Mask TensorTrain::sample(Rng& rng) const {
  Mask x(static_cast<std::size_t>(size()), 0);
  std::vector<double> left(static_cast<std::size_t>(rank_), 1.0), moved[2];
  int count = 0;
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Interface& next = right_[at + 1];
    double exponent[2] = {kNothing, kNothing}, weight[2] = {0, 0};
    for (int bit = 0; bit < 2; ++bit) {
      moved[bit].assign(left.size(), 0.0);
      const int reached = count + bit * rule_.weights[at];
      if (!allowed(i, bit) || !next.has(reached)) continue;
      const auto k = static_cast<std::size_t>(reached - next.lowest);
      exponent[bit] = next.exponents[k];
      multiply_left(core(i, bit), left.data(), 1, rank_, moved[bit].data());
      weight[bit] = dot(moved[bit].data(), next.vectors.data() + k * left.size(), rank_);
    }
    const double largest = std::max(exponent[0], exponent[1]);
    for (int bit = 0; bit < 2; ++bit)
      weight[bit] = exponent[bit] == kNothing ? 0 : weight[bit] * std::exp(exponent[bit] - largest);
    // Strictly less: a bit of weight 0 is never taken, so the rule can't be left.
    x[at] = rng.uniform() * (weight[0] + weight[1]) < weight[1] ? 1 : 0;
    count += x[at] * rule_.weights[at];
    left.swap(moved[x[at]]);
    scale_down(left.data(), rank_);
  }
  return x;
}

std::vector<TensorTrain::Interface> TensorTrain::left_interfaces() const {
  std::vector<Interface> left;
  left.reserve(static_cast<std::size_t>(size()) + 1);
  left.push_back(empty_interface(0));
  left[0].exponents[0] = 0;
  std::fill(left[0].vectors.begin(), left[0].vectors.end(), 1.0);
  for (int i = 0; i < size(); ++i) left.push_back(carried(left.back(), i, i + 1, multiply_left));
  return left;
}

/// result -= d log Z / d theta: the model's own expected use of every core entry.
void TensorTrain::add_partition_gradient(std::span<double> result) const {
  const std::vector<Interface> left = left_interfaces();
  const auto block = static_cast<std::size_t>(rank_ * rank_);
  for (int i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Interface &before = left[at], &after = right_[at + 1];
    for (int bit = 0; bit < 2; ++bit) {
      if (!allowed(i, bit)) continue;
      double* gradient = result.data() + (at * 2 + static_cast<std::size_t>(bit)) * block;
      const double* entries = core(i, bit);
      for (int k = 0; k < before.counts(); ++k) {
        const int count = before.lowest + k + bit * rule_.weights[at];
        if (!after.has(count)) continue;
        const auto from = static_cast<std::size_t>(k), to = static_cast<std::size_t>(count - after.lowest);
        const double exponent = before.exponents[from] + after.exponents[to] - log_partition_;
        if (!(exponent > kNegligible)) continue;
        const double scale = std::exp(exponent);
        const double* x = before.vectors.data() + static_cast<std::ptrdiff_t>(k) * rank_;
        const double* y = after.vectors.data() + static_cast<std::ptrdiff_t>(to) * rank_;
        for (int a = 0; a < rank_; ++a)
          for (int b = 0; b < rank_; ++b)
            gradient[a * rank_ + b] -= scale * x[a] * entries[a * rank_ + b] * y[b];
      }
    }
  }
}

/// result += weight · d log w(x) / d theta, w the unnormalised product; returns log w(x).
double TensorTrain::add_mask_gradient(const Mask& x, double weight, std::span<double> result) const {
  const auto n = static_cast<std::size_t>(size()), r = static_cast<std::size_t>(rank_);
  std::vector<double> right((n + 1) * r, 0.0), left(r, 1.0), next(r);
  std::fill(right.end() - rank_, right.end(), 1.0);
  double exponent = 0;
  for (std::size_t i = n; i-- > 0;) {
    multiply_right(core(static_cast<int>(i), x[i]), &right[(i + 1) * r], 1, rank_, &right[i * r]);
    exponent += normalise(&right[i * r], rank_);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double* entries = core(static_cast<int>(i), x[i]);
    const double* y = &right[(i + 1) * r];
    std::fill(next.begin(), next.end(), 0.0);
    multiply_left(entries, left.data(), 1, rank_, next.data());
    const double total = dot(next.data(), y, rank_);
    double* gradient = result.data() + (i * 2 + x[i]) * r * r;
    for (std::size_t a = 0; a < r; ++a)
      for (std::size_t b = 0; b < r; ++b)
        gradient[a * r + b] += weight * left[a] * entries[a * r + b] * y[b] / total;
    normalise(next.data(), rank_);
    left.swap(next);
  }
  double sum = 0;
  for (std::size_t a = 0; a < r; ++a) sum += right[a];
  return exponent + std::log(sum);
}

double TensorTrain::gradient(std::span<const Mask> masks, std::span<double> result) const {
  check(result.size() == theta_.size(), "tensor train: gradient of the wrong size");
  check(!masks.empty(), "tensor train: gradient over no masks");
  std::fill(result.begin(), result.end(), 0.0);
  add_partition_gradient(result);
  double mean = -log_partition_;
  const double weight = 1.0 / static_cast<double>(masks.size());
  for (const Mask& x : masks) {
    if (!obeys(x)) throw InputError("tensor train: a mask of the gradient breaks the rule; leave it out");
    mean += weight * add_mask_gradient(x, weight, result);
  }
  return mean;
}

}  // namespace quboprune
