#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

// What a TensorTrain computes with: vectors and matrices of its rank, in packs of numbers, and exponents of 2
// beside them. All is inlined, to be compiled for each processor that its user is cloned for.
namespace quboprune {

#define QUBOPRUNE_INLINE [[gnu::always_inline]] inline

/// Eight numbers, in one register to four as the processor has them. Vectors of the rank are padded with
/// zeros to whole packs.
using Pack [[gnu::vector_size(64)]] = double;
constexpr std::size_t kPack = 8;
constexpr std::size_t kLanes = kPack;  ///< samples drawn in lockstep

constexpr double kLogOf2 = 0.6931471805599453;
constexpr int kNothing = std::numeric_limits<int>::min() / 4;

QUBOPRUNE_INLINE Pack load(const double* from) {
  Pack result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

QUBOPRUNE_INLINE void store(const Pack& value, double* to) {
  std::memcpy(to, &value, sizeof value);
}

/// In the same order on every processor.
QUBOPRUNE_INLINE double sum_of(const Pack& x) {
  const Pack four = x + __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
  const Pack two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1, 6, 7, 4, 5);
  return two[0] + two[1];
}

/// Of a positive double; 2^exponent <= it < 2^(exponent + 1).
inline int exponent_of(double value) {
  return static_cast<int>(std::bit_cast<std::uint64_t>(value) >> 52) - 1023;
}

/// 2^exponent, for exponents of up to 1023.
inline double power_of_2(int exponent) {
  return exponent < -1022 ? 0 : std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// e^x to within 4 units in the last place, for |x| up to 700: 2^k times the series of e^r to r^12, |r| <=
/// log(2) / 2.
QUBOPRUNE_INLINE Pack exponential(const Pack& x) {
  // Added to a small number, it rounds that to a whole one, which then is the lowest bits of the sum.
  constexpr double kToWhole = 0x1.8p52;
  // The upper part has zeros at its end: its product with k is exact.
  constexpr double kUpper = 0x1.62e42fee00000p-1, kLower = 0x1.a39ef35793c76p-33;
  const Pack shifted = x * (1 / kLogOf2) + kToWhole, k = shifted - kToWhole;
  const Pack r = x - k * kUpper - k * kLower;
  Pack sum = r * 0 + 1;
  for (int term = 12; term > 0; --term) sum = 1 + sum * r * (1.0 / term);
  using Bits [[gnu::vector_size(64)]] = std::int64_t;
  return sum * std::bit_cast<Pack>((std::bit_cast<Bits>(shifted) + 1023) << 52);
}

/// Numbers in a vector of the rank, in whole packs.
constexpr std::size_t padded(std::size_t rank) {
  return (rank + kPack - 1) / kPack * kPack;
}

/// Calls body(rank); the usual rank is a constant, for which loops are unrolled. Without that, a search by
/// `tt` took 1.3 times as long at n = 100, and 1.7 times with a count of 128.
template <typename Body>
QUBOPRUNE_INLINE auto with_rank(std::size_t rank, Body body) {
  return rank == 5 ? body(std::integral_constant<std::size_t, 5>{}) : body(rank);
}

/// The sum of x[k] · y[k]
template <typename Rank>
QUBOPRUNE_INLINE double dot(const double* x, const double* y, Rank rank) {
  Pack sum{};
  for (std::size_t w = 0; w < padded(rank); w += kPack) sum += load(x + w) * load(y + w);
  return sum_of(sum);
}

/// One pack, from w on, of x' · rows.
template <typename Rank>
QUBOPRUNE_INLINE Pack product(const double* rows, const double* x, Rank rank, std::size_t w) {
  Pack sum{};
  for (std::size_t b = 0; b < rank; ++b) sum += x[b] * load(rows + b * padded(rank) + w);
  return sum;
}

/// result = x' · rows
template <typename Rank>
QUBOPRUNE_INLINE void multiply(const double* rows, const double* x, Rank rank, double* __restrict result) {
  for (std::size_t w = 0; w < padded(rank); w += kPack) store(product(rows, x, rank, w), result + w);
}

/// result[a] += scale · x[a] · y
template <typename Rank>
QUBOPRUNE_INLINE void add_outer(const double* x, const double* y, double scale, Rank rank,
                                double* __restrict result) {
  for (std::size_t a = 0; a < rank; ++a) {
    const double factor = scale * x[a];
    for (std::size_t w = 0; w < padded(rank); w += kPack, result += kPack)
      store(load(result) + factor * load(y + w), result);
  }
}

/// Brings the sum of a non-negative vector to between 1 and 2; returns the exponent of what was divided out.
template <typename Rank>
QUBOPRUNE_INLINE int normalise(double* vector, Rank rank) {
  Pack sum{};
  for (std::size_t w = 0; w < padded(rank); w += kPack) sum += load(vector + w);
  const double all = sum_of(sum);
  if (!(all > 0)) return kNothing;
  const int exponent = exponent_of(all);
  const double scale = power_of_2(-exponent);
  for (std::size_t w = 0; w < padded(rank); w += kPack) store(scale * load(vector + w), vector + w);
  return exponent;
}

/// Of each lane: moved = left · matrix (rank x kLanes), share = moved · after.
QUBOPRUNE_INLINE void multiply_lanes(const double* matrix, const double* left, const double* after,
                                     std::size_t rank, double* moved, double* share) {
  with_rank(rank, [=](auto r) {
    Pack sum{};
    for (std::size_t a = 0; a < r; ++a) {
      Pack next{};
      for (std::size_t b = 0; b < r; ++b) next += matrix[b * padded(r) + a] * load(left + b * kLanes);
      store(next, moved + a * kLanes);
      sum += next * load(after + a * kLanes);
    }
    store(sum, share);
  });
}

/// The same for each lane, exponents forgotten.
QUBOPRUNE_INLINE void normalise_lanes(std::vector<double>& vectors) {
  Pack sum{};
  for (std::size_t k = 0; k < vectors.size(); k += kLanes) sum += load(&vectors[k]);
  Pack scale;
  for (std::size_t lane = 0; lane < kLanes; ++lane) scale[lane] = power_of_2(-exponent_of(sum[lane]));
  for (std::size_t k = 0; k < vectors.size(); k += kLanes) store(load(&vectors[k]) * scale, &vectors[k]);
}

}  // namespace quboprune
