#include "search/surrogate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "quboprune/error.h"
#include "search/cholesky.h"

namespace quboprune {
namespace {

constexpr std::size_t kEvidencePoints = 160;  ///< choosing variances on more costs time and changes little
constexpr double kDrift =
    1e9;  ///< how far a variance may go from its first value: data may prefer 0 or infinity
constexpr int kLargestDense = 2000;  ///< n beyond which Q (8 n² bytes) isn't formed

double normal(Rng& rng) {
  const double radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
  return radius * std::cos(6.283185307179586 * rng.uniform());
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

Surrogate::Surrogate(int n, std::span<const double> prior, std::span<const int> blocks, int capacity)
    : n_(n), capacity_(capacity), prior_(prior.begin(), prior.end()), blocks_(blocks.begin(), blocks.end()) {
  if (!blocks_.empty()) block_count_ = 1 + *std::max_element(blocks_.begin(), blocks_.end());
  if (prior_.empty()) return;
  const double mean = std::accumulate(prior_.begin(), prior_.end(), 0.0) / n;
  double square = 0;
  for (const double p : prior_) square += (p - mean) * (p - mean);
  const double spread = std::sqrt(square / n);
  for (double& p : prior_) p = spread > 0 ? (p - mean) / spread : 0;
}

void Surrogate::add(const Mask& mask, double value) {
  masks_.push_back(mask);
  values_.push_back(value);
}

Surrogate::Point Surrogate::difference(std::size_t index, const Mask& centre, double value) const {
  Point point;
  point.blocks.assign(static_cast<std::size_t>(block_count_), 0.0);
  point.value = std::isfinite(value) ? values_[index] - value : 0;  // none better than infinite: all alike
  for (std::size_t i = 0; i < centre.size(); ++i) {
    const double d = masks_[index][i] - centre[i];
    if (d == 0) continue;
    point.changes.emplace_back(static_cast<int>(i), d);
    if (!prior_.empty()) point.prior += d * prior_[i];
    if (!blocks_.empty()) point.blocks[static_cast<std::size_t>(blocks_[i])] += d;
  }
  return point;
}

void Surrogate::choose_points(const Mask& centre, double value) {
  std::vector<std::pair<int, std::size_t>> nearest;
  for (std::size_t k = 0; k < masks_.size(); ++k) {
    int distance = 0;
    for (std::size_t i = 0; i < centre.size(); ++i) distance += masks_[k][i] != centre[i];
    if (distance > 0) nearest.emplace_back(distance, masks_.size() - k);  // of equals, the latest
  }
  std::sort(nearest.begin(), nearest.end());
  if (static_cast<int>(nearest.size()) > capacity_) nearest.resize(static_cast<std::size_t>(capacity_));
  points_.clear();
  for (const auto& [distance, from_end] : nearest)
    points_.push_back(difference(masks_.size() - from_end, centre, value));
  limit_values();
}

/// A few ruined masks, or infinite ones, would drown what the others say: cut at ten times the median.
void Surrogate::limit_values() {
  std::vector<double> sizes;
  for (const Point& p : points_) sizes.push_back(std::abs(p.value));
  if (sizes.empty()) return;
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  double limit = 10 * *middle;
  if (!std::isfinite(limit)) {  // most are infinite: what is left is only "bad"
    limit = 0;
    for (const double s : sizes)
      if (std::isfinite(s)) limit = std::max(limit, 2 * s);
    if (limit == 0) limit = 1;
  }
  for (Point& p : points_) p.value = std::clamp(p.value, -limit, limit);
}

void Surrogate::fill_products() {
  const std::size_t m = points_.size();
  products_.assign(m * m, 0.0);
  std::vector<double> dense(static_cast<std::size_t>(n_), 0.0);
  for (std::size_t s = 0; s < m; ++s) {
    for (const auto& [i, d] : points_[s].changes) dense[static_cast<std::size_t>(i)] = d;
    for (std::size_t t = 0; t <= s; ++t) {
      double sum = 0;
      for (const auto& [i, d] : points_[t].changes) sum += d * dense[static_cast<std::size_t>(i)];
      products_[s * m + t] = products_[t * m + s] = sum;
    }
    for (const auto& [i, d] : points_[s].changes) dense[static_cast<std::size_t>(i)] = 0;
  }
}

double Surrogate::kernel(std::size_t s, std::size_t t, const Variances& v) const {
  const double product = products_[s * points_.size() + t];
  return v.linear * product + v.prior * points_[s].prior * points_[t].prior +
         v.block * dot(points_[s].blocks, points_[t].blocks) + v.quadratic * product * product +
         (s == t ? v.noise : 0);
}

/// Of the first `count` points; lower half only.
std::vector<double> Surrogate::kernel_matrix(std::size_t count, const Variances& v) const {
  std::vector<double> matrix(count * count, 0.0);
  for (std::size_t s = 0; s < count; ++s)
    for (std::size_t t = 0; t <= s; ++t) matrix[s * count + t] = kernel(s, t, v);
  return matrix;
}

/// Log marginal likelihood of the first `count` values, but for a constant.
double Surrogate::evidence(std::size_t count, const Variances& v) const {
  std::vector<double> factor = kernel_matrix(count, v), residual(count);
  if (!cholesky(factor, count)) return -std::numeric_limits<double>::infinity();
  for (std::size_t t = 0; t < count; ++t) residual[t] = points_[t].value;
  solve_lower(factor, residual);
  double result = -0.5 * dot(residual, residual);
  for (std::size_t t = 0; t < count; ++t) result -= std::log(factor[t * count + t]);
  return result;
}

void Surrogate::start_variances() {
  double value = 0, change = 0, prior = 0, block = 0;
  for (std::size_t t = 0; t < points_.size(); ++t) {
    value += points_[t].value * points_[t].value;
    change += static_cast<double>(points_[t].changes.size());
    prior += points_[t].prior * points_[t].prior;
    block += dot(points_[t].blocks, points_[t].blocks);
  }
  const auto m = static_cast<double>(points_.size());
  value = value > 0 ? value / m : 1;  // a flat objective has no scale
  const double share = 0.4 * value;
  variances_ = {share * m / change, prior > 0 ? share * m / prior : 0,
                block > 0 ? 0.2 * value * m / block : 0, 0.1 * value * m * m / (change * change),
                0.01 * value};
  first_variances_ = variances_;
  started_ = true;
}

/// One round of coordinate ascent on the evidence: each variance is tried larger and smaller.
void Surrogate::improve_variances() {
  const std::size_t count = std::min(points_.size(), kEvidencePoints);
  double best = evidence(count, variances_);
  for (double Variances::*which :
       {&Variances::linear, &Variances::prior, &Variances::block, &Variances::quadratic, &Variances::noise}) {
    if (variances_.*which == 0) continue;
    for (const double factor : {3.0, 1 / 3.0}) {
      Variances trial = variances_;
      trial.*which *= factor;
      const double drift = trial.*which / first_variances_.*which;
      if (drift > kDrift || drift < 1 / kDrift) continue;
      const double value = evidence(count, trial);
      if (!(value > best)) continue;
      best = value;
      variances_ = trial;
      break;
    }
  }
}

void Surrogate::fit(const Mask& centre, double value) {
  choose_points(centre, value);
  fill_products();
  const std::size_t m = points_.size();
  if (m > 0) {
    const bool first = !started_;
    if (first) start_variances();
    for (int round = 0; round < (first ? 4 : 1); ++round) improve_variances();
    // The floor keeps the matrix solvable in doubles where the noise has gone to nothing.
    double largest = 0;
    for (std::size_t t = 0; t < m; ++t) largest = std::max(largest, kernel(t, t, variances_));
    variances_.noise = std::max(variances_.noise, 1e-9 * largest);
    factor_ = kernel_matrix(m, variances_);
    check(cholesky(factor_, m), "surrogate: the kernel matrix isn't positive definite");
  }
  dual_.resize(m);
  for (std::size_t t = 0; t < m; ++t) dual_[t] = points_[t].value;
  if (m > 0) solve_cholesky(factor_, dual_);
  fill_couplings();
}

/// The linear weights that dual coefficients stand for: sum over points of dual · kernel feature.
std::vector<double> Surrogate::weights(std::span<const double> dual) const {
  std::vector<double> result(static_cast<std::size_t>(n_), 0.0),
      blocks(static_cast<std::size_t>(block_count_));
  double prior = 0;
  for (std::size_t t = 0; t < points_.size(); ++t) {
    for (const auto& [i, d] : points_[t].changes)
      result[static_cast<std::size_t>(i)] += variances_.linear * dual[t] * d;
    prior += variances_.prior * dual[t] * points_[t].prior;
    for (std::size_t b = 0; b < blocks.size(); ++b)
      blocks[b] += variances_.block * dual[t] * points_[t].blocks[b];
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!prior_.empty()) result[i] += prior * prior_[i];
    if (!blocks_.empty()) result[i] += blocks[static_cast<std::size_t>(blocks_[i])];
  }
  return result;
}

/// A draw from the prior, corrected by what the data say of its error (Matheron's rule). The draw of Q
/// stays at 0: its share of the uncertainty is small next to w's, and it would cost n² numbers.
std::vector<double> Surrogate::draw(double boldness, Rng& rng) const {
  if (boldness == 0) return weights(dual_);
  std::vector<double> first(static_cast<std::size_t>(n_)), blocks(static_cast<std::size_t>(block_count_));
  const double scale = boldness * std::sqrt(variances_.linear);
  for (double& b : blocks) b = boldness * std::sqrt(variances_.block) * normal(rng);
  const double prior = boldness * std::sqrt(variances_.prior) * normal(rng);
  for (std::size_t i = 0; i < first.size(); ++i) {
    first[i] = scale * normal(rng);
    if (!prior_.empty()) first[i] += prior * prior_[i];
    if (!blocks_.empty()) first[i] += blocks[static_cast<std::size_t>(blocks_[i])];
  }
  std::vector<double> residual(points_.size());
  for (std::size_t t = 0; t < residual.size(); ++t) {
    residual[t] = points_[t].value + boldness * std::sqrt(variances_.noise) * normal(rng);
    for (const auto& [i, d] : points_[t].changes) residual[t] -= d * first[static_cast<std::size_t>(i)];
  }
  if (!residual.empty()) solve_cholesky(factor_, residual);
  const std::vector<double> correction = weights(residual);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] += correction[i];
  return first;
}

double Surrogate::predict(const Mask& centre, const Mask& mask, std::span<const double> linear) const {
  std::vector<std::pair<std::size_t, double>> changes;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != centre[i]) changes.emplace_back(i, mask[i] ? 1.0 : -1.0);
  double sum = 0;
  for (const auto& [i, d] : changes) {
    sum += d * linear[i];
    if (couplings_.empty()) continue;
    for (const auto& [j, e] : changes) sum += d * e * couplings_[i * mask.size() + j];
  }
  return sum;
}

void Surrogate::fill_couplings() {
  const auto n = static_cast<std::size_t>(n_);
  if (n_ > kLargestDense) return;
  couplings_.assign(n * n, 0.0);
  for (std::size_t t = 0; t < points_.size(); ++t)
    for (const auto& [i, d] : points_[t].changes) {
      const double factor = variances_.quadratic * dual_[t] * d;
      double* row = couplings_.data() + static_cast<std::size_t>(i) * n;
      for (const auto& [j, e] : points_[t].changes) row[j] += factor * e;
    }
}

}  // namespace quboprune
