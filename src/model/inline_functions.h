#pragma once

#include <onnx/onnx_pb.h>

namespace quboprune {

/// Puts the nodes of the model's local functions where they are called, as exporters write them since opset
/// 18, and drops the functions. Values inside get names of their own. Throws InputError for a function that
/// calls itself, or that wants another opset version than the model of a domain that both use.
void inline_functions(onnx::ModelProto& model);

}  // namespace quboprune
