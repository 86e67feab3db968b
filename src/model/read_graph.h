#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/tensor_proto.h"
#include "quboprune/graph.h"

namespace quboprune {

/// The graph of a parsed file. `data`: by initialiser, what was left in the file; fewer where the others were
/// parsed. `inserted`: outputs of nodes that the file didn't have; they don't count where nodes without a
/// name are called by their place in it. Throws InputError if it doesn't hold together.
Graph read_graph(const std::shared_ptr<const onnx::ModelProto>& model, const std::vector<StoredBytes>& data,
                 DataFiles files, const std::map<std::string, std::string>& inserted = {});

}  // namespace quboprune
