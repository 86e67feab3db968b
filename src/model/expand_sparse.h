#pragma once

#include <onnx/onnx_pb.h>

namespace quboprune {

/// Writes sparse initialisers and sparse Constants of the main graph out as plain ones: few runtimes take
/// sparse ones, and nothing here cuts them. Throws InputError, naming the tensor, if its places don't fit its
/// shape. Those of types without a fixed number of bytes stay as they are.
void expand_sparse(onnx::ModelProto& model);

}  // namespace quboprune
