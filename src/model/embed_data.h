#pragma once

#include <onnx/onnx_pb.h>

#include "model/tensor_proto.h"

namespace quboprune {

/// Moves what nodes' attributes and subgraphs hold in other files into the message, so that it can be written
/// elsewhere. The graph's own initialisers stay where they are. Throws InputError as embed() does.
void embed_inner_data(onnx::ModelProto& model, DataFiles files);

}  // namespace quboprune
