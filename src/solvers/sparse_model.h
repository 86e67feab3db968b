#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/qubo.h"

namespace quboprune {

/// Pairs and those of dense blocks; low-rank terms couple all and aren't counted.
std::size_t coupling_count(const Qubo& qubo);

/// A QUBO as it is given, for many variables: couplings as rows of neighbours (pairs), dense blocks, and
/// low-rank terms that are never multiplied out. Shared by all threads.
struct StructuredProblem {
  explicit StructuredProblem(const Qubo& qubo);

  std::size_t size = 0;
  double offset = 0;
  std::vector<double> linear;  ///< with the diagonals of the low-rank terms
  std::vector<std::size_t> row_begin;
  std::vector<std::uint32_t> neighbour;
  std::vector<double> weight;
  std::span<const Qubo::DenseBlock> blocks;
  /// Per variable the blocks that it is in, and its place there.
  struct Membership {
    std::uint32_t block, place;
  };
  std::vector<std::vector<Membership>> memberships;
  /// One row of `rank` numbers a variable, already times sqrt|scale|; sign[r] is the scale's.
  std::size_t rank = 0;
  std::vector<float> factor;
  std::vector<float> sign;
  /// All pairs whole, no other terms: 32-bit arithmetic will do.
  bool whole = false;
};

/// Integer pairs only: a flip costs O(degree), a gain is one load.
class SparseModel {
 public:
  using Value = std::int32_t;
  explicit SparseModel(const StructuredProblem& problem);

  void reset();  ///< to x = 0

  std::size_t size() const { return x_.size(); }
  const Mask& x() const { return x_; }
  double energy() const { return static_cast<double>(energy_) + problem_.offset; }
  Value gain(std::size_t i) const { return gain_[i]; }
  Value coupling(std::size_t i, std::size_t j) const;
  void flip(std::size_t i) {
    energy_ += gain_[i];
    const Value sign = x_[i] != 0 ? -1 : 1;
    x_[i] ^= 1;
    gain_[i] = -gain_[i];
    for (std::size_t e = problem_.row_begin[i], end = problem_.row_begin[i + 1]; e < end; ++e) {
      const Arc arc = arcs_[e];
      gain_[arc.to] += (x_[arc.to] != 0 ? -sign : sign) * arc.weight;
    }
  }

 private:
  struct Arc {
    std::uint32_t to;
    Value weight;
  };
  const StructuredProblem& problem_;
  std::vector<Arc> arcs_;
  std::vector<Value> gain_;
  Mask x_;
  std::int64_t energy_ = 0;
};

/// Everything else, in double: a gain costs O(rank), a flip O(degree + block + rank).
class StructuredModel {
 public:
  using Value = double;
  explicit StructuredModel(const StructuredProblem& problem);

  void reset();  ///< to x = 0

  std::size_t size() const { return x_.size(); }
  const Mask& x() const { return x_; }
  double energy() const { return energy_ + problem_.offset; }
  Value gain(std::size_t i) const { return x_[i] != 0 ? -field(i) : field(i); }
  Value coupling(std::size_t i, std::size_t j) const;
  void flip(std::size_t i);

 private:
  /// dE/dx_i.
  double field(std::size_t i) const;

  const StructuredProblem& problem_;
  std::vector<double> field_;    ///< without the low-rank terms
  std::vector<double> product_;  ///< factor * x
  Mask x_;
  double energy_ = 0;
};

}  // namespace quboprune
