#include "quboprune/graph.h"

#include "model/kept_nodes.h"

namespace quboprune {

Attribute Attribute::of(std::int64_t value) {
  Attribute a;
  a.kind = Kind::integer;
  a.i = value;
  return a;
}

Attribute Attribute::of(std::vector<std::int64_t> values) {
  Attribute a;
  a.kind = Kind::integers;
  a.ints = std::move(values);
  return a;
}

std::int64_t Node::integer(const std::string& attribute, std::int64_t otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.i;
}

double Node::real(const std::string& attribute, double otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.f;
}

std::string Node::text(const std::string& attribute, const std::string& otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.s;
}

std::vector<std::int64_t> Node::integers(const std::string& attribute,
                                         std::vector<std::int64_t> otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.ints;
}

std::vector<double> Node::reals(const std::string& attribute, std::vector<double> otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.floats;
}

int Graph::add_constant(std::string name, Constant constant) {
  values.push_back({.name = std::move(name), .constant = std::move(constant)});
  return static_cast<int>(values.size()) - 1;
}

std::vector<std::vector<int>> Graph::consumers() const {
  std::vector<std::vector<int>> result(values.size());
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (const auto* list : {&nodes[n].inputs, &nodes[n].captured}) {
      for (int v : *list) {
        if (v < 0) continue;
        auto& readers = result[static_cast<std::size_t>(v)];
        if (readers.empty() || readers.back() != static_cast<int>(n)) readers.push_back(static_cast<int>(n));
      }
    }
  }
  return result;
}

int Graph::uses(int value) const {
  int count = values[static_cast<std::size_t>(value)].output ? 1 : 0;
  for (const auto& node : nodes) {
    for (const auto* list : {&node.inputs, &node.captured})
      count += static_cast<int>(std::ranges::count(*list, value));
  }
  return count;
}

std::vector<char> Graph::needed_nodes() const {
  return kept_nodes(*this, std::vector<char>(nodes.size(), 0));
}

void Graph::number_producers() {
  for (auto& value : values) value.producer = -1;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (int v : nodes[n].outputs) {
      if (v >= 0) values[static_cast<std::size_t>(v)].producer = static_cast<int>(n);
    }
  }
}

Graph with_outputs(Graph graph, std::vector<int> outputs) {
  for (int v : graph.outputs) graph.values[static_cast<std::size_t>(v)].output = false;
  for (int v : outputs) graph.values[static_cast<std::size_t>(v)].output = true;
  graph.outputs = std::move(outputs);
  return graph;
}

}  // namespace quboprune
