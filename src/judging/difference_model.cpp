#include "judging/difference_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "quboprune/error.h"

namespace quboprune {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// After so many batches in the best order the others come as they are: the first looks decide.
constexpr std::size_t kOrdered = 8;

Index index(std::size_t i) {
  return static_cast<Index>(i);
}

}  // namespace

void DifferenceModel::learn(std::span<const double> differences) {
  check(differences.size() == samples_, "difference model: another number of samples");
  double square = 0;
  for (double d : differences) square += d * d;
  const double size = std::sqrt(square / static_cast<double>(samples_));
  if (!(size > 0) || !std::isfinite(size)) return;
  if (rows_.size() == kMost) rows_.erase(rows_.begin());
  auto& row = rows_.emplace_back(differences.begin(), differences.end());
  for (double& d : row) d /= size;
}

MatrixXd DifferenceModel::rows_of(std::span<const std::size_t> samples) const {
  MatrixXd result(index(rows_.size()), index(samples.size()));
  for (std::size_t k = 0; k < samples.size(); ++k)
    for (std::size_t m = 0; m < rows_.size(); ++m) result(index(m), index(k)) = rows_[m][samples[k]];
  return result;
}

MatrixXd DifferenceModel::prior() const {
  const auto m = static_cast<double>(rows_.size());
  return MatrixXd::Identity(index(rows_.size()), index(rows_.size())) * (m / (1 - kOwn));
}

DifferenceModel::Seen DifferenceModel::seen(std::span<const std::size_t> samples) const {
  Seen result;
  result.rows_ = rows_of(samples);
  result.solve_.compute(prior() + result.rows_ * result.rows_.transpose() / kOwn);
  result.rest_ = -result.rows_.rowwise().sum();
  for (std::size_t m = 0; m < rows_.size(); ++m)
    result.rest_[index(m)] += std::accumulate(rows_[m].begin(), rows_[m].end(), 0.0);
  result.variance_ = result.rest_.dot(result.solve_.solve(result.rest_)) +
                     kOwn * static_cast<double>(samples_ - samples.size());
  result.all_ = static_cast<double>(samples_);
  return result;
}

ExpectedDifference DifferenceModel::Seen::expected(std::span<const double> differences) const {
  const Eigen::Map<const VectorXd> d(differences.data(), index(differences.size()));
  const VectorXd right = rows_ * d / kOwn;
  const VectorXd factors = solve_.solve(right);
  const auto count = static_cast<double>(differences.size());
  const double size = std::max(0.0, d.squaredNorm() / kOwn - right.dot(factors)) / count;  // s²
  return {(d.sum() + rest_.dot(factors)) / all_, std::sqrt(size * variance_) / all_,
          static_cast<int>(differences.size())};
}

std::vector<std::size_t> DifferenceModel::order(std::span<const std::vector<std::size_t>> batches) const {
  std::vector<std::size_t> left(batches.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  std::vector<MatrixXd> rows;
  for (const auto& batch : batches) rows.push_back(rows_of(batch));
  MatrixXd precision = prior();
  VectorXd rest = VectorXd::Zero(index(rows_.size()));
  for (const auto& of_batch : rows) rest += of_batch.rowwise().sum();
  std::vector<std::size_t> result;
  while (result.size() < kOrdered && left.size() > 1) {
    double least = std::numeric_limits<double>::infinity();
    auto best = left.begin();
    for (auto k = left.begin(); k != left.end(); ++k) {
      const VectorXd without = rest - rows[*k].rowwise().sum();
      const Eigen::LLT<MatrixXd> with(precision + rows[*k] * rows[*k].transpose() / kOwn);
      const double variance =
          without.dot(with.solve(without)) - kOwn * static_cast<double>(batches[*k].size());
      if (!(variance < least)) continue;
      least = variance;
      best = k;
    }
    precision += rows[*best] * rows[*best].transpose() / kOwn;
    rest -= rows[*best].rowwise().sum();
    result.push_back(*best);
    left.erase(best);
  }
  result.insert(result.end(), left.begin(), left.end());
  return result;
}

void DifferenceModel::compare(const ExpectedDifference& expected, double mean) {
  if (!(expected.deviation > 0) || !std::isfinite(mean) || expected.degrees < kFewestDegrees) return;
  const double error = (mean - expected.mean) / expected.deviation;
  const double degrees = expected.degrees;
  if (errors_.size() == kErrors) errors_.erase(errors_.begin());
  errors_.push_back(error * error * (degrees - 2) / degrees);
}

double DifferenceModel::doubt() const {
  if (errors_.empty()) return 1;
  const double mean =
      std::accumulate(errors_.begin(), errors_.end(), 0.0) / static_cast<double>(errors_.size());
  return std::max(1.0, std::sqrt(mean));
}

}  // namespace quboprune
