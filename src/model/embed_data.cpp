#include "model/embed_data.h"

namespace quboprune {
namespace {

void embed_in(onnx::GraphProto& graph, DataFiles& files);

void embed_in(onnx::NodeProto& node, DataFiles& files) {
  for (auto& attribute : *node.mutable_attribute()) {
    if (attribute.has_t()) embed(*attribute.mutable_t(), files);
    for (auto& tensor : *attribute.mutable_tensors()) embed(tensor, files);
    if (attribute.has_g()) embed_in(*attribute.mutable_g(), files);
    for (auto& graph : *attribute.mutable_graphs()) embed_in(graph, files);
  }
}

void embed_in(onnx::GraphProto& graph, DataFiles& files) {
  for (auto& tensor : *graph.mutable_initializer()) embed(tensor, files);
  for (auto& node : *graph.mutable_node()) embed_in(node, files);
}

}  // namespace

void embed_inner_data(onnx::ModelProto& model, DataFiles files) {
  for (auto& node : *model.mutable_graph()->mutable_node()) embed_in(node, files);
  for (auto& function : *model.mutable_functions())
    for (auto& node : *function.mutable_node()) embed_in(node, files);
}

}  // namespace quboprune
