#pragma once

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "model/stored_file.h"
#include "quboprune/constant.h"

namespace quboprune {

/// The files beside a model that hold its external data; each is opened once.
class DataFiles {
 public:
  /// Data of files above `in_memory` bytes stay there until they are needed.
  DataFiles(std::filesystem::path folder, std::uint64_t in_memory)
      : folder_(std::move(folder)), in_memory_(in_memory) {}

  /// The part of a file that holds a tensor's data. Absolute paths and ".." are refused, as in ONNX's own
  /// checker, so that a model can't read files that aren't its own.
  StoredBytes find(const onnx::TensorProto& proto, std::size_t expected);
  bool stays(const StoredBytes& bytes) const;

 private:
  std::filesystem::path folder_;
  std::uint64_t in_memory_;
  std::map<std::string, std::shared_ptr<const StoredFile>> files_;
};

/// The constant that a TensorProto describes; undefined for strings and complex numbers.
/// Types that LibTorch lacks come in a wider one (see element_types.h). `owner` keeps the proto alive: raw
/// data isn't copied. `stored`: raw data that was left in the model's file. Throws InputError, naming the
/// tensor, if its data doesn't fit its shape.
Constant constant_from(const onnx::TensorProto& proto, const std::shared_ptr<const void>& owner,
                       DataFiles& files, StoredBytes stored = {});

/// Moves a tensor's data from another file into the proto; nothing for types that constant_from() doesn't
/// take. Throws InputError as DataFiles::find() does.
void embed(onnx::TensorProto& proto, DataFiles& files);

/// Writes a constant's type and sizes over a proto, keeping its name and doc string.
void write_header(onnx::TensorProto& proto, const Constant& constant);

/// The same with its numbers.
void write_tensor(onnx::TensorProto& proto, const at::Tensor& tensor);

/// ONNX's number for a LibTorch type.
int element_of(at::ScalarType type);

}  // namespace quboprune
