#include "search/surrogate.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr Eigen::Index kEvidencePoints = 100;  ///< choosing variances on more costs time and changes little
constexpr std::size_t kGrowth = 5;             ///< a fit holds until a fifth more masks have come
constexpr double kDrift =
    1e9;  ///< how far a variance may go from its first value: data may prefer 0 or infinity
constexpr int kLargestDense = 2000;  ///< n beyond which Q (8 n² bytes) isn't formed

/// Standard normal numbers, two at a time (Marsaglia's polar method): no sines.
class Normal {
 public:
  explicit Normal(Rng& rng) : rng_(rng) {}
  double operator()() {
    if (std::exchange(kept_, !kept_)) return spare_;
    double x = 0, y = 0, square = 0;
    do {
      x = 2 * rng_.uniform() - 1;
      y = 2 * rng_.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square == 0);
    const double radius = std::sqrt(-2 * std::log(square) / square);
    spare_ = radius * y;
    return radius * x;
  }

 private:
  Rng& rng_;
  bool kept_ = false;
  double spare_ = 0;
};

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Eigen::Index index(std::size_t i) {
  return static_cast<Eigen::Index>(i);
}

constexpr std::size_t kWord = 64;

/// Number of ones. std::popcount is a call of a function where the processor may be one without an
/// instruction for it.
int ones(std::uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555U;
  word = (word & 0x3333333333333333U) + ((word >> 2) & 0x3333333333333333U);
  word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FU;
  return static_cast<int>((word * 0x0101010101010101U) >> 56);
}

void append_bits(const Mask& mask, std::vector<std::uint64_t>& bits) {
  const std::size_t first = bits.size();
  bits.resize(first + (mask.size() + kWord - 1) / kWord, 0);
  for (std::size_t i = 0; i < mask.size(); ++i)
    bits[first + i / kWord] |= static_cast<std::uint64_t>(mask[i] != 0) << (i % kWord);
}

}  // namespace

Surrogate::Surrogate(int n, std::span<const double> prior, std::span<const int> blocks, int capacity)
    : n_(n),
      capacity_(capacity),
      prior_(prior.begin(), prior.end()),
      blocks_(blocks.begin(), blocks.end()),
      words_((static_cast<std::size_t>(n) + kWord - 1) / kWord) {
  if (!blocks_.empty()) block_count_ = 1 + *std::max_element(blocks_.begin(), blocks_.end());
  if (prior_.empty()) return;
  const double mean = std::accumulate(prior_.begin(), prior_.end(), 0.0) / n;
  double square = 0;
  for (const double p : prior_) square += (p - mean) * (p - mean);
  const double spread = std::sqrt(square / n);
  for (double& p : prior_) p = spread > 0 ? (p - mean) / spread : 0;
}

void Surrogate::add(const Mask& mask, double value, bool asked) {
  append_bits(mask, masks_);
  values_.push_back(value);
  asked_.push_back(asked);
}

std::span<const std::uint64_t> Surrogate::bits(std::size_t k) const {
  return std::span(masks_).subspan(k * words_, words_);
}

int Surrogate::distance(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) const {
  int sum = 0;
  for (std::size_t w = 0; w < words_; ++w) sum += ones(a[w] ^ b[w]);
  return sum;
}

/// Makes the k-th mask a point of the fit.
void Surrogate::add_point(std::size_t k) {
  Point point;
  point.blocks.assign(static_cast<std::size_t>(block_count_), 0.0);
  // None better than infinite: all alike.
  point.value = std::isfinite(origin_value_) ? values_[k] - origin_value_ : 0;
  for (std::size_t w = 0; w < words_; ++w) {
    const std::uint64_t flips = bits(k)[w] ^ origin_bits_[w];
    flips_.push_back(flips);
    for (std::uint64_t rest = flips; rest != 0; rest &= rest - 1) {
      const std::size_t i = w * kWord + static_cast<std::size_t>(std::countr_zero(rest));
      const double d = origin_[i] ? -1 : 1;
      point.changes.emplace_back(static_cast<int>(i), d);
      if (!prior_.empty()) point.prior += d * prior_[i];
      if (!blocks_.empty()) point.blocks[static_cast<std::size_t>(blocks_[i])] += d;
    }
  }
  points_.push_back(std::move(point));
}

void Surrogate::choose_points() {
  std::vector<std::pair<int, std::size_t>> nearest;
  for (std::size_t k = 0; k < values_.size(); ++k) {
    const int away = distance(bits(k), origin_bits_);
    if (away > 0) nearest.emplace_back(away, values_.size() - k);  // of equals, the latest
  }
  const std::size_t count = std::min(nearest.size(), static_cast<std::size_t>(capacity_));
  const auto end = nearest.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(nearest.begin(), end, nearest.end());
  std::sort(nearest.begin(), end);
  reach_ = end == nearest.end() ? n_ : nearest[count - 1].first;
  points_.clear();
  flips_.clear();
  for (auto each = nearest.begin(); each != end; ++each) add_point(values_.size() - each->second);
  limit_values();
}

/// A few ruined masks, or infinite ones, would drown what the others say: cut at ten times the median of
/// those that differ from the origin at all.
void Surrogate::limit_values() {
  limit_ = 1;  // on a plateau there is no scale yet
  std::vector<double> sizes;
  for (const Point& p : points_)
    if (p.value != 0) sizes.push_back(std::abs(p.value));
  if (sizes.empty()) return;
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  limit_ = 10 * *middle;
  if (!std::isfinite(limit_)) {  // most are infinite: what is left is only "bad"
    limit_ = 0;
    for (const double s : sizes)
      if (std::isfinite(s)) limit_ = std::max(limit_, 2 * s);
    if (limit_ == 0) limit_ = 1;
  }
  for (Point& p : points_) p.value = std::clamp(p.value, -limit_, limit_);
}

/// d_s'd_t: where both differ from the origin, they differ alike.
double Surrogate::product(std::size_t s, std::size_t t) const {
  int sum = 0;
  for (std::size_t w = 0; w < words_; ++w) sum += ones(flips_[s * words_ + w] & flips_[t * words_ + w]);
  return sum;
}

/// Of two points, or of one but for the noise.
double Surrogate::kernel(std::size_t s, std::size_t t) const {
  const double p = product(s, t);
  return variances_.linear * p + variances_.prior * points_[s].prior * points_[t].prior +
         variances_.block * dot(points_[s].blocks, points_[t].blocks) + variances_.quadratic * p * p;
}

/// Of the first `count` points; the lower half counts.
Surrogate::Matrix Surrogate::kernel_matrix(Eigen::Index count, const Variances& v) const {
  const auto p = products_.topLeftCorner(count, count).array();
  Matrix matrix = v.linear * p + v.quadratic * p.square();
  if (v.prior > 0) {
    Vector prior(count);
    for (Eigen::Index t = 0; t < count; ++t) prior[t] = points_[static_cast<std::size_t>(t)].prior;
    matrix.noalias() += v.prior * prior * prior.transpose();
  }
  if (v.block > 0) matrix += v.block * block_products_.topLeftCorner(count, count);
  matrix.diagonal().array() += v.noise;
  return matrix;
}

Surrogate::Vector Surrogate::values() const {
  Vector result(index(points_.size()));
  for (std::size_t t = 0; t < points_.size(); ++t) result[index(t)] = points_[t].value;
  return result;
}

/// Log marginal likelihood of the first `count` values, but for a constant.
double Surrogate::evidence(Eigen::Index count, const Variances& v) const {
  Matrix matrix = kernel_matrix(count, v);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(matrix);
  if (factor.info() != Eigen::Success) return -std::numeric_limits<double>::infinity();
  Vector residual = values().head(count);
  factor.matrixL().solveInPlace(residual);
  return -0.5 * residual.squaredNorm() - matrix.diagonal().array().log().sum();
}

void Surrogate::start_variances() {
  double value = 0, change = 0, prior = 0, block = 0;
  for (const Point& point : points_) {
    value += point.value * point.value;
    change += static_cast<double>(point.changes.size());
    prior += point.prior * point.prior;
    block += dot(point.blocks, point.blocks);
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

/// One round of coordinate ascent on the evidence: each variance is tried larger and smaller. Whether one
/// changed.
bool Surrogate::improve_variances() {
  const Eigen::Index count = std::min(index(points_.size()), kEvidencePoints);
  const double before = evidence(count, variances_);
  double best = before;
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
  return best > before;
}

void Surrogate::factorise() {
  // The floor keeps the matrix solvable in doubles where the noise has gone to nothing.
  double largest = 0;
  for (std::size_t t = 0; t < points_.size(); ++t)
    largest = std::max(largest, kernel(t, t) + variances_.noise);
  variances_.noise = std::max(variances_.noise, 1e-9 * largest);
  const Eigen::Index m = index(points_.size()), room = m + m / index(kGrowth) + 1;
  factor_.resize(room, room);
  factor_.topLeftCorner(m, m) = kernel_matrix(m, variances_);
  Eigen::Ref<Matrix, 0, Eigen::OuterStride<>> block = factor_.topLeftCorner(m, m);
  const Eigen::LLT<Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>> llt(block);
  check(llt.info() == Eigen::Success, "surrogate: the kernel matrix isn't positive definite");
}

Eigen::Map<const Surrogate::Matrix, 0, Eigen::OuterStride<>> Surrogate::factor() const {
  return {factor_.data(), index(points_.size()), index(points_.size()),
          Eigen::OuterStride<>(factor_.outerStride())};
}

void Surrogate::start_over() {
  choose_points();
  learnt_ = values_.size();
  first_points_ = points_.size();
  if (points_.empty()) return;
  const Eigen::Index m = index(first_points_);
  products_.setZero(m, m);
  block_products_.setZero(m, m);
  for (std::size_t t = 0; t < first_points_; ++t)
    for (std::size_t s = t; s < first_points_; ++s) {
      products_(index(s), index(t)) = product(s, t);
      block_products_(index(s), index(t)) = dot(points_[s].blocks, points_[t].blocks);
    }
  const bool first = !started_;
  if (first) start_variances();
  // Settled variances are left alone every second time, once there are as many points as there will be: short
  // searches, whose objective is what costs, get all that the data say.
  const bool rests = settled_ && points_.size() == static_cast<std::size_t>(capacity_);
  settled_ = !rests && !improve_variances();
  for (int round = 1; first && round < 4; ++round) improve_variances();
  factorise();
}

/// The masks since the last fit that the model asked for or that one from scratch might choose.
std::vector<std::size_t> Surrogate::newcomers() const {
  std::vector<std::size_t> chosen;
  for (std::size_t k = learnt_; k < values_.size(); ++k)
    if (asked_[k] || distance(bits(k), centre_bits_) <= reach_) chosen.push_back(k);
  return chosen;
}

/// Rows of new points: L21 = K21 L11^-T, L22 = Cholesky of K22 - L21 L21'.
void Surrogate::extend(std::span<const std::size_t> newcomers) {
  learnt_ = values_.size();
  if (newcomers.empty()) return;
  const std::size_t known = points_.size();
  for (const std::size_t k : newcomers) {
    add_point(k);
    points_.back().value = std::clamp(points_.back().value, -limit_, limit_);
  }
  const Eigen::Index m = index(known), fresh = index(points_.size() - known);
  Matrix across(m, fresh), corner(fresh, fresh);
  for (Eigen::Index s = 0; s < fresh; ++s) {
    const std::size_t row = known + static_cast<std::size_t>(s);
    for (std::size_t t = 0; t < known; ++t) across(index(t), s) = kernel(row, t);
    for (std::size_t t = known; t <= row; ++t) corner(s, index(t - known)) = kernel(row, t);
    corner(s, s) += variances_.noise;
  }
  factor_.topLeftCorner(m, m).triangularView<Eigen::Lower>().solveInPlace(across);
  corner.selfadjointView<Eigen::Lower>().rankUpdate(across.transpose(), -1);
  const Eigen::LLT<Eigen::Ref<Matrix>> llt(corner);
  check(llt.info() == Eigen::Success, "surrogate: the kernel matrix isn't positive definite");
  factor_.block(m, 0, fresh, m) = across.transpose();
  factor_.block(m, m, fresh, fresh) = corner;
}

/// Whether so many newcomers, or the best mask now, ask for a fit from scratch.
bool Surrogate::outgrown(std::size_t newcomers) const {
  return !std::isfinite(origin_value_) || first_points_ == 0 ||
         kGrowth * (points_.size() + newcomers - first_points_) > first_points_ ||
         distance(centre_bits_, origin_bits_) > reach_;
}

void Surrogate::fit(const Mask& centre, double value) {
  centre_ = centre;
  centre_bits_.clear();
  append_bits(centre, centre_bits_);
  const std::vector<std::size_t> fresh = newcomers();
  if (origin_.empty() || outgrown(fresh.size())) {
    origin_ = centre;
    origin_bits_ = centre_bits_;
    origin_value_ = value;
    start_over();
  } else {
    extend(fresh);
  }
  dual_ = values();
  solve_in_place(dual_);
  move_to_centre();
  fill_couplings();
}

/// Puts K^-1 x in the place of x.
void Surrogate::solve_in_place(Eigen::Ref<Matrix> x) const {
  if (points_.empty()) return;
  factor().triangularView<Eigen::Lower>().solveInPlace(x);
  factor().transpose().triangularView<Eigen::Upper>().solveInPlace(x);
}

void Surrogate::move_to_centre() {
  shift_.assign(static_cast<std::size_t>(n_), 0.0);
  for (std::size_t t = 0; t < points_.size(); ++t) {
    double along = 0;
    for (const auto& [i, d] : points_[t].changes) {
      const auto at = static_cast<std::size_t>(i);
      along += d * (centre_[at] - origin_[at]);
    }
    if (along == 0) continue;
    const double factor = 2 * variances_.quadratic * dual_[index(t)] * along;
    for (const auto& [i, d] : points_[t].changes) shift_[static_cast<std::size_t>(i)] += factor * d;
  }
}

/// The linear weights that dual coefficients stand for: sum over points of dual · kernel feature.
std::vector<double> Surrogate::weights(const Vector& dual) const {
  std::vector<double> result(static_cast<std::size_t>(n_), 0.0),
      blocks(static_cast<std::size_t>(block_count_));
  double prior = 0;
  for (std::size_t t = 0; t < points_.size(); ++t) {
    const double factor = dual[index(t)];
    for (const auto& [i, d] : points_[t].changes)
      result[static_cast<std::size_t>(i)] += variances_.linear * factor * d;
    prior += variances_.prior * factor * points_[t].prior;
    for (std::size_t b = 0; b < blocks.size(); ++b)
      blocks[b] += variances_.block * factor * points_[t].blocks[b];
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!prior_.empty()) result[i] += prior * prior_[i];
    if (!blocks_.empty()) result[i] += blocks[static_cast<std::size_t>(blocks_[i])];
  }
  return result;
}

/// Draws of the weights' error, one a column of n: each from the prior, corrected by what the data say of it
/// (Matheron's rule). The draw of Q stays at 0: its share of the uncertainty is small next to w's, and it
/// would cost n² numbers.
Surrogate::Matrix Surrogate::draw_errors(Eigen::Index count, Rng& rng) const {
  Normal normal(rng);
  Matrix errors(n_, count), seen = Matrix::Zero(index(points_.size()), count);
  for (Eigen::Index k = 0; k < count; ++k) {
    std::vector<double> blocks(static_cast<std::size_t>(block_count_));
    for (double& b : blocks) b = std::sqrt(variances_.block) * normal();
    const double prior = std::sqrt(variances_.prior) * normal();
    for (int i = 0; i < n_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      errors(i, k) = std::sqrt(variances_.linear) * normal();
      if (!prior_.empty()) errors(i, k) += prior * prior_[at];
      if (!blocks_.empty()) errors(i, k) += blocks[static_cast<std::size_t>(blocks_[at])];
    }
    for (std::size_t t = 0; t < points_.size(); ++t) {
      double& of_point = seen(index(t), k);
      of_point = std::sqrt(variances_.noise) * normal();
      for (const auto& [i, d] : points_[t].changes) of_point += d * errors(i, k);
    }
  }
  solve_in_place(seen);
  for (Eigen::Index k = 0; k < count; ++k) {
    const std::vector<double> known = weights(seen.col(k));
    errors.col(k) -= Eigen::Map<const Vector>(known.data(), n_);
  }
  return errors;
}

std::vector<std::vector<double>> Surrogate::draw(std::span<const double> boldness, Rng& rng) const {
  const bool bold = std::ranges::any_of(boldness, [](double b) { return b != 0; });
  // In pairs, with opposite errors: half the solves.
  const Matrix errors = bold ? draw_errors(index((boldness.size() + 1) / 2), rng) : Matrix();
  const std::vector<double> mean = weights(dual_);
  std::vector<std::vector<double>> draws;
  for (std::size_t k = 0; k < boldness.size(); ++k) {
    std::vector<double>& drawn = draws.emplace_back(mean);
    const double factor = (k % 2 == 0 ? 1 : -1) * boldness[k];
    for (std::size_t i = 0; i < drawn.size(); ++i)
      drawn[i] += shift_[i] + (factor != 0 ? factor * errors(index(i), index(k / 2)) : 0);
  }
  return draws;
}

double Surrogate::predict(const Mask& mask, std::span<const double> linear) const {
  std::vector<std::pair<std::size_t, double>> changes;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != centre_[i]) changes.emplace_back(i, mask[i] ? 1.0 : -1.0);
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
      const double factor = variances_.quadratic * dual_[index(t)] * d;
      double* row = couplings_.data() + static_cast<std::size_t>(i) * n;
      for (const auto& [j, e] : points_[t].changes) row[j] += factor * e;
    }
}

}  // namespace quboprune
