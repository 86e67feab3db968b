#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

// What a TensorTrain computes with: vectors and matrices of its rank, in pairs of numbers, and exponents of 2
// beside them.
namespace quboprune {

/// Two numbers in one register, on every 64-bit processor. Vectors of the rank are padded with a zero to
/// whole pairs.
using Pair [[gnu::vector_size(16)]] = double;
constexpr std::size_t kPair = 2;
constexpr std::size_t kLanes = 8;  ///< samples drawn in lockstep

constexpr double kLogOf2 = 0.6931471805599453;
constexpr int kNothing = std::numeric_limits<int>::min() / 4;

inline Pair load(const double* from) {
  Pair result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

inline void store(const Pair& value, double* to) {
  std::memcpy(to, &value, sizeof value);
}

/// Of a positive double; 2^exponent <= it < 2^(exponent + 1).
inline int exponent_of(double value) {
  return static_cast<int>(std::bit_cast<std::uint64_t>(value) >> 52) - 1023;
}

/// 2^exponent, for exponents of up to 1023.
inline double power_of_2(int exponent) {
  return exponent < -1022 ? 0 : std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// Numbers in a vector of the rank, in whole pairs.
constexpr std::size_t padded(std::size_t rank) {
  return (rank + kPair - 1) / kPair * kPair;
}

/// Calls body(rank); the usual rank is a constant, for which loops are unrolled. Without that, a search by
/// `tt` took 1.3 times as long at n = 100, and 1.7 times with a count of 128.
template <typename Body>
[[gnu::always_inline]] inline auto with_rank(std::size_t rank, Body body) {
  return rank == 5 ? body(std::integral_constant<std::size_t, 5>{}) : body(rank);
}

/// The sum of x[k] · y[k]
template <typename Rank>
[[gnu::always_inline]] inline double dot(const double* x, const double* y, Rank rank) {
  Pair sum{};
  for (std::size_t w = 0; w < padded(rank); w += kPair) sum += load(x + w) * load(y + w);
  return sum[0] + sum[1];
}

/// result += scale · x' · rows
template <typename Rank>
[[gnu::always_inline]] inline void multiply(const double* rows, const double* x, double scale, Rank rank,
                                            double* __restrict result) {
  for (std::size_t b = 0; b < rank; ++b) {
    const double factor = scale * x[b];
    for (std::size_t w = 0; w < padded(rank); w += kPair)
      store(load(result + w) + factor * load(rows + b * padded(rank) + w), result + w);
  }
}

/// result[a] += scale · x[a] · y
template <typename Rank>
[[gnu::always_inline]] inline void add_outer(const double* x, const double* y, double scale, Rank rank,
                                             double* __restrict result) {
  for (std::size_t a = 0; a < rank; ++a) {
    const double factor = scale * x[a];
    for (std::size_t w = 0; w < padded(rank); w += kPair, result += kPair)
      store(load(result) + factor * load(y + w), result);
  }
}

/// Brings the sum of a non-negative vector to between 1 and 2; returns the exponent of what was divided out.
template <typename Rank>
[[gnu::always_inline]] inline int normalise(double* vector, Rank rank) {
  Pair sum{};
  for (std::size_t w = 0; w < padded(rank); w += kPair) sum += load(vector + w);
  const double all = sum[0] + sum[1];
  if (!(all > 0)) return kNothing;
  const int exponent = exponent_of(all);
  const double scale = power_of_2(-exponent);
  for (std::size_t w = 0; w < padded(rank); w += kPair) store(scale * load(vector + w), vector + w);
  return exponent;
}

/// Of each lane: moved = left · matrix (rank x kLanes), share = moved · after.
inline void multiply_lanes(const double* matrix, const double* left, const double* after, std::size_t rank,
                           double* moved, double* share) {
  with_rank(rank, [=](auto r) {
    for (std::size_t lane = 0; lane < kLanes; lane += kPair) {
      Pair sum{};
      for (std::size_t a = 0; a < r; ++a) {
        Pair next{};
        for (std::size_t b = 0; b < r; ++b)
          next += matrix[b * padded(r) + a] * load(left + b * kLanes + lane);
        store(next, moved + a * kLanes + lane);
        sum += next * load(after + a * kLanes + lane);
      }
      store(sum, share + lane);
    }
  });
}

/// The same for each lane, exponents forgotten.
inline void normalise_lanes(std::vector<double>& vectors) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    double sum = 0;
    for (std::size_t k = lane; k < vectors.size(); k += kLanes) sum += vectors[k];
    const double scale = power_of_2(-exponent_of(sum));
    for (std::size_t k = lane; k < vectors.size(); k += kLanes) vectors[k] *= scale;
  }
}

}  // namespace quboprune
