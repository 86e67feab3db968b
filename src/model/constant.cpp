#include "quboprune/constant.h"

#include <ATen/Functions.h>

namespace quboprune {

Constant::Constant(at::IntArrayRef sizes, at::ScalarType type, Read read)
    : tensor_(at::empty(sizes, at::TensorOptions(at::kMeta).dtype(type))),
      read_(std::make_shared<const Read>(std::move(read))) {}

at::Tensor Constant::tensor() const {
  if (!read_) return tensor_;
  at::Tensor numbers = at::empty(tensor_.sizes(), tensor_.scalar_type());
  (*read_)(numbers.data_ptr());
  return numbers;
}

}  // namespace quboprune
