#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>

namespace quboprune {

/// A small network, the same for the same seed: convolutions of every kind, residual and dense joins, splits,
/// squeeze-and-excite, channel shuffles, pixel shuffles, padding and slicing of channels, attention, heads.
/// One input [n, 3, 8, 8]; one or two outputs.
onnx::ModelProto random_network(std::uint64_t seed);

}  // namespace quboprune
