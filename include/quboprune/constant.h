#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <utility>

namespace quboprune {

/// A constant of a network: a tensor in memory, or one that stays in the model's file and is read anew each
/// time that its numbers are asked for. A large network's weights would otherwise lie in memory twice, as the
/// file has them and as they are run. Copies share the tensor, or the place in the file.
class Constant {
 public:
  /// Fills the memory of a whole tensor. Throws InputError where the file can't be read any more.
  using Read = std::function<void(void* to)>;

  Constant() = default;
  Constant(at::Tensor tensor) : tensor_(std::move(tensor)) {}  // NOLINT: a tensor is a constant
  /// One that stays in its file. `read` may be called from several threads at once.
  Constant(at::IntArrayRef sizes, at::ScalarType type, Read read);

  /// The numbers. Of a constant in a file: a new tensor each time, which the caller had better not keep.
  at::Tensor tensor() const;
  operator at::Tensor() const { return tensor(); }  // NOLINT: and the other way round

  bool defined() const { return tensor_.defined(); }
  bool in_file() const { return read_ != nullptr; }
  /// The same tensor, or the same place in the same file: equal without a look at the numbers.
  bool is_same(const Constant& other) const { return tensor_.is_same(other.tensor_); }

  at::IntArrayRef sizes() const { return tensor_.sizes(); }
  std::int64_t size(std::int64_t axis) const { return tensor_.size(axis); }
  std::int64_t dim() const { return tensor_.dim(); }
  std::int64_t numel() const { return tensor_.numel(); }
  std::size_t nbytes() const { return tensor_.nbytes(); }
  at::ScalarType scalar_type() const { return tensor_.scalar_type(); }
  bool is_floating_point() const { return tensor_.is_floating_point(); }

 private:
  at::Tensor tensor_;  // of a constant in a file: its sizes and type alone (on LibTorch's meta device)
  std::shared_ptr<const Read> read_;
};

}  // namespace quboprune
