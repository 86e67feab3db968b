#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <memory>

#include "quboprune/graph.h"

namespace quboprune {

/// The graph of a parsed file. Throws InputError if it doesn't hold together.
Graph read_graph(const std::shared_ptr<const onnx::ModelProto>& model, const std::filesystem::path& folder);

}  // namespace quboprune
