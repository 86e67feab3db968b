#pragma once

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <memory>
#include <string>

namespace quboprune {

/// The tensor that a TensorProto describes; undefined for strings and complex numbers.
/// Types that LibTorch lacks come in a wider one (see element_types.h). `owner` keeps the proto alive: raw
/// data isn't copied. External data is read from files in `folder`. Throws InputError, naming the tensor, if
/// its data doesn't fit its shape.
at::Tensor tensor_from(const onnx::TensorProto& proto, const std::shared_ptr<const void>& owner,
                       const std::filesystem::path& folder);

/// Writes a tensor's data over a proto, keeping its name and doc string.
void write_tensor(onnx::TensorProto& proto, const at::Tensor& tensor);

/// ONNX's number for a LibTorch type.
int element_of(at::ScalarType type);

}  // namespace quboprune
