#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/random.h"

namespace quboprune {

/// A model of the objective around one mask x0, learnt from the masks evaluated so far:
///
///     f(x0 + d) - f(x0) = (w + v·p + g[block])'d + d'Q d + noise,   d in {-1, 0, 1}^n,
///
/// with independent normal priors on every entry of w, on the scale v of the caller's prior p, on one
/// offset g for each block and on every entry of Q: ridge regression over linear and quadratic features,
/// solved in its dual form (a Gaussian process whose kernel has those four terms), so that its cost depends
/// on the number of masks and not on n². The variances are chosen by the evidence.
///
/// A fit from scratch chooses the masks, the point from which differences count (the best mask then) and the
/// variances; until a fifth more masks have come, these stay, and the factor of the kernel matrix is only
/// extended by the new masks' rows. Masks that the model didn't ask for and that are farther from the best
/// than all that were chosen don't count: the samples of a train that searches elsewhere would ask for fits
/// from scratch that hardly use them. Source: standard Bayesian linear regression; the terms and their use
/// are ours.
class Surrogate {
 public:
  /// prior: empty or n (any scale); blocks: empty or n labels >= 0. capacity: masks used in a fit from
  /// scratch, at most.
  Surrogate(int n, std::span<const double> prior, std::span<const int> blocks, int capacity);

  /// asked: whether the model asked for it, so that it counts however far it is.
  void add(const Mask& mask, double value, bool asked);
  /// Fits to the masks added so far: the nearest to the best one, `centre`, which has `value`.
  void fit(const Mask& centre, double value);

  /// Draws linear weights at the centre (n) from the posterior, one for each `boldness`: 0 gives their mean,
  /// 1 a true draw. Two after one another have opposite errors (antithetic draws).
  std::vector<std::vector<double>> draw(std::span<const double> boldness, Rng& rng) const;
  /// What the model expects of a mask, above the centre's value, with such linear weights.
  double predict(const Mask& mask, std::span<const double> linear) const;
  /// The posterior mean of Q, n x n row-major, symmetric; empty where n is too large for it.
  const std::vector<double>& couplings() const { return couplings_; }

 private:
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  /// A mask of the fit: its difference from the origin, sparse, and its value above the origin's.
  struct Point {
    std::vector<std::pair<int, double>> changes;
    double prior = 0;            ///< p'd
    std::vector<double> blocks;  ///< sums of d over each block
    double value = 0;
  };
  struct Variances {
    double linear = 1, prior = 1, block = 1, quadratic = 0.01, noise = 0.01;
  };

  std::vector<std::size_t> newcomers() const;
  bool outgrown(std::size_t newcomers) const;
  void start_over();
  void extend(std::span<const std::size_t> newcomers);
  std::span<const std::uint64_t> bits(std::size_t k) const;
  int distance(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) const;
  void add_point(std::size_t k);
  void choose_points();
  void limit_values();
  double product(std::size_t s, std::size_t t) const;
  double kernel(std::size_t s, std::size_t t) const;
  Matrix kernel_matrix(Eigen::Index count, const Variances& v) const;
  double evidence(Eigen::Index count, const Variances& v) const;
  void start_variances();
  bool improve_variances();
  void factorise();
  Eigen::Map<const Matrix, 0, Eigen::OuterStride<>> factor() const;
  Vector values() const;
  void solve_in_place(Eigen::Ref<Matrix> x) const;
  std::vector<double> weights(const Vector& dual) const;
  Matrix draw_errors(Eigen::Index count, Rng& rng) const;
  void move_to_centre();
  void fill_couplings();

  int n_, capacity_, block_count_ = 0;
  std::vector<double> prior_;
  std::vector<int> blocks_;
  std::size_t words_;                 ///< of 64 bits, in a mask
  std::vector<std::uint64_t> masks_;  ///< one after the other
  std::vector<double> values_;
  std::vector<bool> asked_;
  std::size_t learnt_ = 0;  ///< masks that the points were chosen from
  Mask origin_, centre_;    ///< differences count from the origin; the centre is the best mask now
  std::vector<std::uint64_t> origin_bits_, centre_bits_;
  int reach_ = 0;  ///< distance of the farthest point from the origin; n where all masks are points
  double origin_value_ = 0, limit_ = 0;
  std::vector<Point> points_;
  std::vector<std::uint64_t> flips_;  ///< where each point differs from the origin
  std::size_t first_points_ = 0;      ///< of the fit from scratch
  Matrix products_, block_products_;  ///< of those, lower half: d_s'd_t, and of their sums over blocks
  Variances variances_, first_variances_;
  bool started_ = false;
  bool settled_ = false;  ///< the last fit from scratch looked, and changed no variance
  Matrix factor_;  ///< its upper left part: Cholesky, lower, of the kernel matrix; room for more points
  Vector dual_;    ///< K^-1 y
  std::vector<double> shift_;  ///< 2 Q (centre - origin): what the couplings add to the weights at the centre
  std::vector<double> couplings_;
};

}  // namespace quboprune
