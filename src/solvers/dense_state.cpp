#include "solvers/dense_state.h"

#include <algorithm>

namespace quboprune {

DenseState::DenseState(const DenseMatrix& matrix, std::span<const std::int8_t> fixed)
    : matrix_(matrix), fixed_(fixed), x_(matrix.size(), 0), length_(matrix.stride()) {
  groups_ = (length_ + kKeyGroup - 1) / kKeyGroup;
  storage_.assign(length_ + 2 * groups_ + 16, 0);
  zone_.assign(length_, 0);
  // Keys start on a cache line, so that no vector straddles two.
  auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
  keys_ = storage_.data() + ((64 - address % 64) % 64) / sizeof(std::int32_t);
  smallest_ = keys_ + length_;
  largest_ = smallest_ + groups_;
  std::copy(matrix.linear().begin(), matrix.linear().end(), keys_);
  release_all();
}

void DenseState::toggle(std::size_t i) {
  energy_ += gain(i);
  set_zone(i, 0);
  kept_ += on(i) ? -1 : 1;
  x_[i] ^= 1;
  ++moves_;
}

void DenseState::flip(std::size_t i) {
  toggle(i);
  matrix_.add(view(), i, on(i) ? 1 : -1);
}

void DenseState::swap(std::size_t out, std::size_t in) {
  toggle(out);
  // `in`'s field still counts `out` as kept: the swap's gain is h_in - h_out - b.
  energy_ -= matrix_.coupling(out, in);
  toggle(in);
  matrix_.add_difference(view(), in, out);
}

void DenseState::release_all() {
  for (std::size_t i = 0; i < x_.size(); ++i) release(i);
  rescan();
}

void DenseState::move_to(const Mask& target) {
  for (std::size_t i = 0; i < x_.size(); ++i)
    if (x_[i] != target[i]) flip(i);
  release_all();
}

std::int64_t DenseState::addition_gain() const {
  const std::int64_t key = *std::min_element(smallest_, smallest_ + groups_);
  return key < -(kZone / 2) ? key + kZone : kNoGain;
}

std::int64_t DenseState::removal_gain() const {
  const std::int64_t key = *std::max_element(largest_, largest_ + groups_);
  return key > kZone / 2 ? kZone - key : kNoGain;
}

std::size_t DenseState::best_addition(std::uint64_t spin) const {
  const std::int32_t key = *std::min_element(smallest_, smallest_ + groups_);
  return key < -(kZone / 2) ? find_key(view(), key, false, spin) : kNone;
}

std::size_t DenseState::best_removal(std::uint64_t spin) const {
  const std::int32_t key = *std::max_element(largest_, largest_ + groups_);
  return key > kZone / 2 ? find_key(view(), key, true, spin) : kNone;
}

}  // namespace quboprune
