#pragma once

#include <onnx/onnx_pb.h>

#include <memory>
#include <vector>

#include "model/tensor_proto.h"
#include "quboprune/graph.h"

namespace quboprune {

/// The graph of a parsed file. `data`: by initialiser, what was left in the file; fewer where the others were
/// parsed. Throws InputError if it doesn't hold together.
Graph read_graph(const std::shared_ptr<const onnx::ModelProto>& model, const std::vector<StoredBytes>& data,
                 DataFiles files);

}  // namespace quboprune
