#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <map>
#include <string>
#include <vector>

#include "quboprune/graph.h"
#include "quboprune/random.h"

namespace quboprune::testing {

inline std::size_t index_of(int i) {
  return static_cast<std::size_t>(i);
}

/// Normal-like numbers (a sum of four uniform ones), the same for the same seed.
inline at::Tensor numbers(const std::vector<std::int64_t>& shape, std::uint64_t seed, double scale = 1) {
  at::Tensor result = at::empty(shape, at::kFloat);
  Rng rng(seed);
  auto* values = static_cast<float*>(result.data_ptr());
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    const double sum = rng.uniform() + rng.uniform() + rng.uniform() + rng.uniform() - 2;
    values[i] = static_cast<float>(1.7 * scale * sum);
  }
  return result;
}

/// The next numbers of a generator, uniform in [-1, 1).
inline at::Tensor uniform(const std::vector<std::int64_t>& shape, Rng& rng) {
  at::Tensor result = at::empty(shape, at::kFloat);
  auto* values = static_cast<float*>(result.data_ptr());
  for (std::int64_t i = 0; i < result.numel(); ++i) values[i] = static_cast<float>(2 * rng.uniform() - 1);
  return result;
}

/// Writes a small network node by node, all of it in one type of numbers.
class Net {
 public:
  explicit Net(at::ScalarType type = at::kFloat) : type_(type) {}

  Graph graph;

  int input(const std::vector<std::int64_t>& shape) {
    Value value;
    value.name = "x";
    value.input = value.declared = true;
    value.element = type_ == at::kDouble ? 11 : 1;  // ONNX's numbers of the types
    value.shape = shape;
    graph.values.push_back(value);
    graph.inputs.push_back(last());
    return last();
  }
  int constant(const at::Tensor& tensor) {
    return graph.add_constant("c" + std::to_string(graph.values.size()),
                              tensor.is_floating_point() ? tensor.to(type_) : tensor);
  }
  int add(const std::string& op, const std::vector<int>& inputs,
          const std::map<std::string, Attribute>& attributes = {}) {
    Value value;
    value.name = "v" + std::to_string(graph.values.size());
    value.producer = static_cast<int>(graph.nodes.size());
    graph.values.push_back(value);
    Node node;
    node.name = op + std::to_string(graph.nodes.size());
    node.op = op;
    node.version = 13;
    node.inputs = inputs;
    node.outputs = {last()};
    node.attributes = attributes;
    graph.nodes.push_back(node);
    return last();
  }
  Graph finish(int value) {
    graph.values[static_cast<std::size_t>(value)].output = true;
    graph.outputs.push_back(value);
    return graph;
  }

 private:
  int last() const { return static_cast<int>(graph.values.size()) - 1; }

  at::ScalarType type_;
};

inline Attribute list(std::vector<std::int64_t> values) {
  return Attribute::of(std::move(values));
}

/// An image network of a 3 x 3 convolution to six channels, Relu, and what `tail` makes of that.
template <typename Tail>
Graph six_channels(Tail tail) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h =
      net.add("Conv", {x, net.constant(numbers({6, 3, 3, 3}, 1, 0.4)), net.constant(numbers({6}, 2, 0.3))},
              {{"pads", list({1, 1, 1, 1})}});
  const int value = tail(net, net.add("Relu", {h}));
  return net.finish(value);
}

/// Seven groups: 0-3 the channels of a stem, a residual branch and a depthwise convolution together (with
/// batch norm and PRelu between), 4-6 those of a branch of its own; a Concat joins the two for the last
/// layer.
inline Graph mixed_structures(at::ScalarType type = at::kFloat) {
  Net net(type);
  const Attribute same = list({1, 1, 1, 1});
  const int x = net.input({-1, 3, -1, -1});
  const int stem =
      net.add("Conv", {x, net.constant(numbers({4, 3, 3, 3}, 1, 0.4)), net.constant(numbers({4}, 2, 0.3))},
              {{"pads", same}});
  const int normal = net.add(
      "BatchNormalization", {stem, net.constant(numbers({4}, 3, 0.2) + 1), net.constant(numbers({4}, 4, 0.3)),
                             net.constant(numbers({4}, 5, 0.2)), net.constant(numbers({4}, 6).abs() + 0.5)});
  const int a = net.add("PRelu", {normal, net.constant(numbers({4, 1, 1}, 7, 0.3))});
  const int branch = net.add("Conv", {a, net.constant(numbers({4, 4, 3, 3}, 8, 0.3))}, {{"pads", same}});
  const int sum = net.add("Add", {a, net.add("Sigmoid", {branch})});
  const int deep =
      net.add("Conv", {sum, net.constant(numbers({4, 1, 3, 3}, 9, 0.4)), net.constant(numbers({4}, 10, 0.3))},
              {{"pads", same}, {"group", Attribute::of(4)}});
  const int own = net.add("Relu", {net.add("Conv", {sum, net.constant(numbers({3, 4, 1, 1}, 11, 0.5))})});
  const int joined = net.add("Concat", {deep, own}, {{"axis", Attribute::of(1)}});
  return net.finish(net.add(
      "Conv", {joined, net.constant(numbers({2, 7, 3, 3}, 12, 0.3)), net.constant(numbers({2}, 13, 0.3))},
      {{"pads", same}}));
}

}  // namespace quboprune::testing
