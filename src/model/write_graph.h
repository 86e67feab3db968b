#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// A model as it is to be written: its weights are fetched one after the other while that is done.
struct ModelToWrite {
  onnx::ModelProto proto;
  std::vector<Constant> data;  ///< by initialiser: its numbers; undefined where the proto holds them
};

/// A copy of `file` (whose graph is `before`) with what `after` changes: constants, attributes, inputs,
/// nodes left out, constants added, declared shapes. All else stays as it is, unknown fields included.
ModelToWrite write_graph(const onnx::ModelProto& file, const Graph& before, const Graph& after,
                         const std::map<std::string, std::string>& metadata);

}  // namespace quboprune
