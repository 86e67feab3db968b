#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cstddef>
#include <span>
#include <vector>

namespace quboprune {

/// A mask's mean difference from the best one over all samples, as far as some of them tell.
struct ExpectedDifference {
  double mean = 0;
  double deviation = 0;  ///< of the true mean from this one, which is Student's t with so many
  int degrees = 0;       ///< degrees of freedom
};

/// What a mask's differences on some samples tell of the others, from those of earlier masks on all samples:
///
///     d = s (Z' a + e),   a ~ N(0, (1 - kOwn)/m I),   e ~ N(0, kOwn I)
///
/// d: differences by sample; Z [m, samples]: earlier masks', each divided by its root mean square; s: the
/// mask's own size, estimated from what is seen. So d is thought to be Gaussian with the second moments of
/// earlier masks, a little of them given to each sample alone. Masks of a search differ in few directions, so
/// that a few samples tell much about all. Ours.
class DifferenceModel {
 public:
  explicit DifferenceModel(std::size_t samples) : samples_(samples) {}

  /// Takes in a mask that saw all samples. Differences that aren't finite, or all zero, teach nothing.
  void learn(std::span<const double> differences);
  /// Enough masks are known to expect something of others.
  bool expects() const { return rows_.size() >= kFewest; }
  /// Enough such expectations were compared with what came of them to go by them.
  bool ready() const { return expects() && errors_.size() >= kFewestErrors; }

  /// What holds for every mask that has seen these samples (numbers without repetition).
  class Seen {
   public:
    /// differences: in the order in which the samples were given. All finite.
    ExpectedDifference expected(std::span<const double> differences) const;

   private:
    friend class DifferenceModel;
    Eigen::MatrixXd rows_;               // earlier masks' differences on these
    Eigen::LLT<Eigen::MatrixXd> solve_;  // by the precision of a
    Eigen::VectorXd rest_;               // earlier masks' sums over the other samples
    double variance_ = 0;                // of the other samples' sum, for s = 1
    double all_ = 0;
  };
  Seen seen(std::span<const std::size_t> samples) const;

  /// An order of the batches (of sample numbers) in which the first ones tell most about the mean.
  std::vector<std::size_t> order(std::span<const std::vector<std::size_t>> batches) const;

  /// Compares an expectation with what became of the mask; those from too few samples aren't counted. Masks
  /// that were given up can't be compared, so some must be let through.
  void compare(const ExpectedDifference& expected, double mean);
  /// What deviations have to be multiplied by to be as large as errors were lately (by their root mean
  /// square, Student's own tails taken off); at least 1.
  double doubt() const;

 private:
  static constexpr double kOwn = 0.05;
  static constexpr std::size_t kFewest = 8, kMost = 40;  // masks
  static constexpr std::size_t kErrors = 200, kFewestErrors = 20;
  static constexpr int kFewestDegrees = 4;

  Eigen::MatrixXd rows_of(std::span<const std::size_t> samples) const;
  Eigen::MatrixXd prior() const;  // precision of a before any sample is seen

  std::size_t samples_;
  std::vector<std::vector<double>> rows_;  // Z, the latest last
  std::vector<double> errors_;             // squared, 1 on average where expectations are right
};

}  // namespace quboprune
