#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "solvers/dense_matrix.h"

namespace quboprune {

/// A selection x on a DenseMatrix with every variable's field h_i = dE/dx_i kept up to date (in integer
/// units), and the tabu status folded into the same number. One array of keys serves every scan:
///
///     key_i = h_i - 2^30   x_i = 0, free to be added
///     key_i = h_i          not to be touched now (tabu, or fixed)
///     key_i = h_i + 2^30   x_i = 1, free to be dropped
///
/// Fields stay below 2^28, so the smallest key is the best addition and the largest key the best removal,
/// and updating a row yields both without a branch or a look at x (ours).
class DenseState {
 public:
  /// `matrix` and `fixed` (empty, or -1, 0, 1 per variable) must outlive the state. Starts at x = 0,
  /// fixed ones included.
  DenseState(const DenseMatrix& matrix, std::span<const std::int8_t> fixed);
  DenseState(const DenseState&) = delete;
  DenseState& operator=(const DenseState&) = delete;

  const DenseMatrix& matrix() const { return matrix_; }
  std::size_t size() const { return x_.size(); }
  const Mask& x() const { return x_; }
  bool on(std::size_t i) const { return x_[i] != 0; }
  bool is_fixed(std::size_t i) const { return !fixed_.empty() && fixed_[i] >= 0; }
  bool is_free(std::size_t i) const { return zone_[i] != 0; }
  std::int64_t energy() const { return energy_; }
  std::int64_t moves() const { return moves_; }
  int kept() const { return kept_; }
  std::int32_t field(std::size_t i) const { return keys_[i] - zone_[i]; }
  /// The change of energy if i is flipped.
  std::int64_t gain(std::size_t i) const { return on(i) ? -std::int64_t{field(i)} : std::int64_t{field(i)}; }

  /// Flips i; the status of i must be given by hold() or release() afterwards by whoever searches:
  /// until then i can't be chosen.
  void flip(std::size_t i);
  /// One pass for both flips of a swap.
  void swap(std::size_t out, std::size_t in);
  void hold(std::size_t i) { set_zone(i, 0); }
  void release(std::size_t i) {
    if (!is_fixed(i)) set_zone(i, on(i) ? kZone : -kZone);
  }
  void release_all();
  /// Renews the extremes after hold() or release() that no flip followed.
  void rescan() { scan_keys(view()); }
  /// Flips whatever differs from `target`, and releases everything.
  void move_to(const Mask& target);

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// The free variable whose addition (removal) lowers the energy most, ties broken by `spin`;
  /// kNone if none is free. Valid after a flip, swap or rescan.
  std::size_t best_addition(std::uint64_t spin) const;
  std::size_t best_removal(std::uint64_t spin) const;
  /// Their gains without the search for the index; kNoGain if none is free.
  static constexpr std::int64_t kNoGain = std::int64_t{1} << 40;
  std::int64_t addition_gain() const;
  std::int64_t removal_gain() const;

 private:
  static constexpr std::int32_t kZone = std::int32_t{1} << 30;
  void set_zone(std::size_t i, std::int32_t zone) {
    keys_[i] += zone - zone_[i];
    zone_[i] = zone;
  }
  KeyView view() const { return {keys_, smallest_, largest_, length_}; }
  void toggle(std::size_t i);

  const DenseMatrix& matrix_;
  std::span<const std::int8_t> fixed_;
  Mask x_;
  std::size_t length_ = 0, groups_ = 0;
  std::vector<std::int32_t> storage_, zone_;
  std::int32_t *keys_ = nullptr, *smallest_ = nullptr, *largest_ = nullptr;
  std::int64_t energy_ = 0, moves_ = 0;
  int kept_ = 0;
};

}  // namespace quboprune
