#pragma once

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
/// Source: standard Bayesian linear regression; the terms and their use are ours.
class Surrogate {
 public:
  /// prior: empty or n (any scale); blocks: empty or n labels >= 0. capacity: masks used in a fit, at most.
  Surrogate(int n, std::span<const double> prior, std::span<const int> blocks, int capacity);

  void add(const Mask& mask, double value);
  /// Fits to the masks nearest to `centre`, which must have been added with `value`.
  void fit(const Mask& centre, double value);

  /// Draws linear weights (n) from the posterior; `boldness` 0 gives their mean, 1 a true draw.
  std::vector<double> draw(double boldness, Rng& rng) const;
  /// What the model expects of a mask, above the centre's value, with such linear weights.
  double predict(const Mask& centre, const Mask& mask, std::span<const double> linear) const;
  /// The posterior mean of Q, n x n row-major, symmetric; empty where n is too large for it.
  const std::vector<double>& couplings() const { return couplings_; }

 private:
  /// A mask of the fit: its difference from the centre, sparse, and its value above the centre's.
  struct Point {
    std::vector<std::pair<int, double>> changes;
    double prior = 0;            ///< p'd
    std::vector<double> blocks;  ///< sums of d over each block
    double value = 0;
  };
  struct Variances {
    double linear = 1, prior = 1, block = 1, quadratic = 0.01, noise = 0.01;
  };

  Point difference(std::size_t index, const Mask& centre, double value) const;
  void choose_points(const Mask& centre, double value);
  void limit_values();
  void fill_products();
  double kernel(std::size_t s, std::size_t t, const Variances& v) const;
  std::vector<double> kernel_matrix(std::size_t count, const Variances& v) const;
  double evidence(std::size_t count, const Variances& v) const;
  void start_variances();
  void improve_variances();
  std::vector<double> weights(std::span<const double> dual) const;
  void fill_couplings();

  int n_, capacity_, block_count_ = 0;
  std::vector<double> prior_;
  std::vector<int> blocks_;
  std::vector<Mask> masks_;
  std::vector<double> values_;
  std::vector<Point> points_;
  std::vector<double> products_;  ///< points x points: d_s'd_t
  Variances variances_, first_variances_;
  bool started_ = false;
  std::vector<double> factor_;  ///< Cholesky, lower, of the kernel matrix
  std::vector<double> dual_;    ///< K^-1 y
  std::vector<double> couplings_;
};

}  // namespace quboprune
