#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "quboprune/qubo.h"
#include "solvers/row_kernels.h"

namespace quboprune {

/// A QUBO as integers: E(x) = scale * (sum_i linear_i x_i + factor * sum_{i<j} m_ij x_i x_j) + offset,
/// with m in the narrowest of int8, int16, int32 that holds it, row-major, rows padded for the kernels.
///
/// Integer problems are kept exactly. Real ones are rounded to a grid so fine that the largest possible
/// field just fits 28 bits: rounding errors of single couplings are independent, so an energy of K^2/2 of
/// them is off by about K/5 grid steps, and callers evaluate what they keep in double anyway.
class DenseMatrix {
 public:
  explicit DenseMatrix(const Qubo& qubo);

  std::size_t size() const { return n_; }
  std::size_t stride() const { return stride_; }
  bool exact() const { return exact_; }
  double scale() const { return scale_; }
  double offset() const { return offset_; }
  int factor() const { return factor_; }
  int bytes() const { return bytes_; }
  std::span<const std::int32_t> linear() const { return linear_; }

  /// factor * m_ij, what adding j does to i's field.
  std::int32_t coupling(std::size_t i, std::size_t j) const {
    const std::size_t at = i * stride_ + j;
    if (bytes_ == 1) return factor_ * reinterpret_cast<const std::int8_t*>(data_.get())[at];
    if (bytes_ == 2) return factor_ * reinterpret_cast<const std::int16_t*>(data_.get())[at];
    return factor_ * reinterpret_cast<const std::int32_t*>(data_.get())[at];
  }
  /// keys += sign * (row of i), with the groups' extremes.
  void add(const KeyView& view, std::size_t i, int sign) const;
  /// keys += (row of in) - (row of out).
  void add_difference(const KeyView& view, std::size_t in, std::size_t out) const;

 private:
  struct Free {
    void operator()(void* p) const;
  };
  bool build_from_integer_pairs(const Qubo& qubo);
  void build_from_doubles(const Qubo& qubo);
  void allocate(std::int64_t largest);
  template <typename W>
  W* data() const {
    return reinterpret_cast<W*>(data_.get());
  }
  void set(std::size_t i, std::size_t j, std::int64_t value);

  std::size_t n_ = 0, stride_ = 0;
  bool exact_ = true;
  double scale_ = 1, offset_ = 0;
  int factor_ = 1, bytes_ = 1;
  std::vector<std::int32_t> linear_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace quboprune
