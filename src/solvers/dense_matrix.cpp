#include "solvers/dense_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

namespace quboprune {
namespace {

constexpr double kFieldLimit = 0x1p28;

bool whole(double value) {
  return std::nearbyint(value) == value && std::abs(value) < 0x1p40;
}

/// Only pairs, in strictly rising order, so that none repeats: then they can be stored as they come.
bool only_ordered_pairs(const Qubo& qubo) {
  if (!qubo.dense_blocks().empty() || !qubo.low_rank().empty()) return false;
  const auto pairs = qubo.pairs();
  for (std::size_t p = 1; p < pairs.size(); ++p) {
    const auto &a = pairs[p - 1], &b = pairs[p];
    if (a.i > b.i || (a.i == b.i && a.j >= b.j)) return false;
  }
  return true;
}

/// The largest |linear_i| + sum_j |b_ij|.
double largest_field(std::span<const double> linear, const std::vector<double>& row_sums) {
  double largest = 0;
  for (std::size_t i = 0; i < linear.size(); ++i)
    largest = std::max(largest, std::abs(linear[i]) + row_sums[i]);
  return largest;
}

}  // namespace

void DenseMatrix::Free::operator()(void* p) const {
  std::free(p);
}

DenseMatrix::DenseMatrix(const Qubo& qubo)
    : n_(static_cast<std::size_t>(qubo.size())),
      stride_((n_ + kRowPadding - 1) / kRowPadding * kRowPadding),
      offset_(qubo.offset()),
      linear_(n_) {
  if (!build_from_integer_pairs(qubo)) build_from_doubles(qubo);
}

void DenseMatrix::allocate(std::int64_t largest) {
  bytes_ = largest <= 127 ? 1 : largest <= 32767 ? 2 : 4;
  const std::size_t size = (n_ * stride_ * static_cast<std::size_t>(bytes_) + 4095) / 4096 * 4096;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, size)));
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, size);
}

void DenseMatrix::set(std::size_t i, std::size_t j, std::int64_t value) {
  const std::size_t at = i * stride_ + j;
  if (bytes_ == 1)
    data<std::int8_t>()[at] = static_cast<std::int8_t>(value);
  else if (bytes_ == 2)
    data<std::int16_t>()[at] = static_cast<std::int16_t>(value);
  else
    data<std::int32_t>()[at] = static_cast<std::int32_t>(value);
}

bool DenseMatrix::build_from_integer_pairs(const Qubo& qubo) {
  if (!only_ordered_pairs(qubo)) return false;
  for (double value : qubo.linear())
    if (!whole(value)) return false;
  std::vector<double> row_sums(n_, 0.0);
  double largest = 0;
  bool even = true;
  for (const Qubo::Pair& pair : qubo.pairs()) {
    if (!whole(pair.value)) return false;
    const double size = std::abs(pair.value);
    largest = std::max(largest, size);
    even = even && (static_cast<std::int64_t>(pair.value) & 1) == 0;
    row_sums[static_cast<std::size_t>(pair.i)] += size;
    row_sums[static_cast<std::size_t>(pair.j)] += size;
  }
  const double bound = largest_field(qubo.linear(), row_sums);
  if (bound >= kFieldLimit) return false;
  // A common factor 2 (every x'Qx problem has one) is taken out where it saves a width.
  factor_ = even && largest > 127 && largest <= 254 ? 2 : 1;
  allocate(static_cast<std::int64_t>(largest) / factor_);
  std::transform(qubo.linear().begin(), qubo.linear().end(), linear_.begin(),
                 [](double value) { return static_cast<std::int32_t>(value); });
  for (const Qubo::Pair& pair : qubo.pairs()) {
    const auto i = static_cast<std::size_t>(pair.i), j = static_cast<std::size_t>(pair.j);
    const std::int64_t value = static_cast<std::int64_t>(pair.value) / factor_;
    set(i, j, value);
    set(j, i, value);
  }
  return true;
}

void DenseMatrix::build_from_doubles(const Qubo& qubo) {
  std::vector<double> couplings, diagonal, row_sums(n_, 0.0);
  qubo.to_dense(couplings, diagonal);
  double largest = 0;
  bool all_whole = std::all_of(diagonal.begin(), diagonal.end(), whole);
  for (std::size_t i = 0; i < n_; ++i)
    for (std::size_t j = 0; j < n_; ++j) {
      const double value = couplings[i * n_ + j];
      all_whole = all_whole && whole(value);
      largest = std::max(largest, std::abs(value));
      row_sums[i] += std::abs(value);
    }
  const double bound = largest_field(diagonal, row_sums);
  exact_ = all_whole && bound < kFieldLimit;
  // 2^27: rounding can lift a field by half a step per coupling, and must not reach the limit.
  if (!exact_) scale_ = bound / 0x1p27;
  const double steps = exact_ || bound == 0 ? 1.0 : 1.0 / scale_;
  if (bound == 0) scale_ = 1;
  allocate(std::llround(largest * steps));
  for (std::size_t i = 0; i < n_; ++i) {
    linear_[i] = static_cast<std::int32_t>(std::llround(diagonal[i] * steps));
    for (std::size_t j = 0; j < n_; ++j)
      if (couplings[i * n_ + j] != 0) set(i, j, std::llround(couplings[i * n_ + j] * steps));
  }
}

void DenseMatrix::add(const KeyView& view, std::size_t i, int sign) const {
  if (bytes_ == 1)
    add_row(view, data<std::int8_t>() + i * stride_, sign * factor_);
  else if (bytes_ == 2)
    add_row(view, data<std::int16_t>() + i * stride_, sign);
  else
    add_row(view, data<std::int32_t>() + i * stride_, sign);
}

void DenseMatrix::add_difference(const KeyView& view, std::size_t in, std::size_t out) const {
  if (bytes_ == 1)
    add_row_difference(view, data<std::int8_t>() + in * stride_, data<std::int8_t>() + out * stride_,
                       factor_);
  else if (bytes_ == 2)
    add_row_difference(view, data<std::int16_t>() + in * stride_, data<std::int16_t>() + out * stride_, 1);
  else
    add_row_difference(view, data<std::int32_t>() + in * stride_, data<std::int32_t>() + out * stride_, 1);
}

}  // namespace quboprune
