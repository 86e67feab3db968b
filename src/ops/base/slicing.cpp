#include "ops/base/slicing.h"

#include <algorithm>
#include <numeric>

namespace quboprune {

std::vector<std::int64_t> Slicing::kept(int value, int axis) const {
  const auto& some = kept_(value, axis);
  if (!some.empty()) return some;
  std::vector<std::int64_t> all(static_cast<std::size_t>(size_before(value, axis)));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::int64_t Slicing::size_after(int value, int axis) const {
  const auto& some = kept_(value, axis);
  return some.empty() ? size_before(value, axis) : static_cast<std::int64_t>(some.size());
}

std::int64_t Slicing::size_before(int value, int axis) const {
  const auto& shape = coupling_.shape(value);
  return shape[static_cast<std::size_t>(axis < 0 ? axis + static_cast<int>(shape.size()) : axis)];
}

bool Slicing::resized(int value) const {
  const auto& sources = coupling_.size_sources(value);
  return std::any_of(sources.begin(), sources.end(), [&](const AxisOf& a) { return cut(a.value, a.axis); });
}

void Slicing::set_attribute(const std::string& name, Attribute attribute) {
  after_.nodes[static_cast<std::size_t>(node_)].attributes[name] = std::move(attribute);
}

void Slicing::replace_input(std::size_t k, at::Tensor tensor) {
  replace_input_of(node_, k, std::move(tensor));
  settle(k);
}

void Slicing::replace_input_of(int node, std::size_t k, at::Tensor tensor) {
  const int was = coupling_.graph().nodes[static_cast<std::size_t>(node)].input(k);
  const std::string name = coupling_.graph().values[static_cast<std::size_t>(was)].name + "_pruned";
  after_.nodes[static_cast<std::size_t>(node)].inputs[k] =
      after_.add_constant(names_.unique(name), std::move(tensor));
}

void Slicing::append_input(std::size_t k, const std::string& name, at::Tensor tensor) {
  Node& node = after_.nodes[static_cast<std::size_t>(node_)];
  if (node.inputs.size() <= k) node.inputs.resize(k + 1, -1);
  node.inputs[k] = after_.add_constant(names_.unique(node.name + "_" + name), std::move(tensor));
  settle(k);
}

void Slicing::remove_attribute(const std::string& name) {
  after_.nodes[static_cast<std::size_t>(node_)].attributes.erase(name);
}

}  // namespace quboprune
