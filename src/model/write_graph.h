#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "quboprune/graph.h"

namespace quboprune {

/// A copy of `file` (whose graph is `before`) with what `after` changes: constants, attributes, inputs,
/// nodes left out, constants added, declared shapes. All else stays as it is, unknown fields included.
onnx::ModelProto write_graph(const onnx::ModelProto& file, const Graph& before, const Graph& after,
                             const std::map<std::string, std::string>& metadata);

}  // namespace quboprune
