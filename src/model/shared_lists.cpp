#include "model/shared_lists.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "model/names.h"

namespace quboprune {
namespace {

using onnx::GraphProto;
using onnx::NodeProto;

bool is_own(const NodeProto& node) {
  return node.domain().empty() || node.domain() == "ai.onnx";
}

bool is_concat(const NodeProto& node) {
  return node.op_type() == "Concat" && is_own(node) && node.output_size() == 1;
}

/// Of nodes and values, those of subgraphs included.
void take_names(const GraphProto& graph, Names& names) {
  for (const auto& node : graph.node()) {
    names.take(node.name());
    for (const auto& output : node.output()) names.take(output);
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) take_names(attribute.g(), names);
      for (const auto& inner : attribute.graphs()) take_names(inner, names);
    }
  }
  for (const auto& tensor : graph.initializer()) names.take(tensor.name());
  for (const auto& input : graph.input()) names.take(input.name());
}

/// Has nodes, those of subgraphs included, read other values.
void read_instead(GraphProto& graph, const std::unordered_map<std::string, std::string>& others) {
  for (auto& node : *graph.mutable_node()) {
    for (auto& name : *node.mutable_input()) {
      const auto found = others.find(name);
      if (found != others.end()) name = found->second;
    }
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) read_instead(*attribute.mutable_g(), others);
      for (auto& inner : *attribute.mutable_graphs()) read_instead(inner, others);
    }
  }
}

}  // namespace

int place_of_sizes(std::string_view op) {
  static const std::map<std::string_view, int> places = {
      {"Reshape", 1}, {"Expand", 1}, {"Resize", 3}, {"ConstantOfShape", 0}};
  const auto found = places.find(op);
  return found == places.end() ? -1 : found->second;
}

std::map<std::string, std::string> part_shared_lists(GraphProto& graph) {
  std::unordered_map<std::string, int> lists;  // the Concat that gives it
  for (int n = 0; n < graph.node_size(); ++n)
    if (is_concat(graph.node(n))) lists[graph.node(n).output(0)] = n;
  Names names;
  take_names(graph, names);

  std::map<std::string, std::string> copies;
  std::unordered_map<int, std::vector<NodeProto>> behind;  // copies, by the node that they stand behind
  std::set<std::string> met;
  for (auto& node : *graph.mutable_node()) {
    const int place = is_own(node) ? place_of_sizes(node.op_type()) : -1;
    if (place < 0 || place >= node.input_size()) continue;
    const std::string list = node.input(place);
    const auto found = lists.find(list);
    if (found == lists.end() || met.insert(list).second) continue;
    NodeProto copy = graph.node(found->second);
    if (!copy.name().empty()) copy.set_name(names.unique(copy.name()));
    copy.set_output(0, names.unique(list));
    node.set_input(place, copy.output(0));
    copies[copy.output(0)] = list;
    behind[found->second].push_back(std::move(copy));
  }
  if (copies.empty()) return copies;

  google::protobuf::RepeatedPtrField<NodeProto> nodes;
  for (int n = 0; n < graph.node_size(); ++n) {
    nodes.Add()->Swap(graph.mutable_node(n));
    for (auto& copy : behind[n]) nodes.Add()->Swap(&copy);
  }
  graph.mutable_node()->Swap(&nodes);
  return copies;
}

void share_equal_lists(GraphProto& graph, const std::map<std::string, std::string>& copies) {
  if (copies.empty()) return;
  std::unordered_map<std::string, const NodeProto*> lists;
  for (const auto& node : graph.node())
    if (is_concat(node)) lists[node.output(0)] = &node;
  std::unordered_map<std::string, std::string> equal;
  for (const auto& [copy, original] : copies) {
    const auto one = lists.find(copy);
    const auto other = lists.find(original);
    if (one == lists.end() || other == lists.end()) continue;
    if (std::ranges::equal(one->second->input(), other->second->input())) equal[copy] = original;
  }
  read_instead(graph, equal);
  for (int n = graph.node_size() - 1; n >= 0; --n) {
    if (is_concat(graph.node(n)) && equal.contains(graph.node(n).output(0)))
      graph.mutable_node()->DeleteSubrange(n, 1);
  }
}

}  // namespace quboprune
