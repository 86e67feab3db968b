#pragma once

#include <ATen/Functions.h>

#include <map>
#include <string>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/graph.h"
#include "quboprune/random.h"

namespace quboprune::testing {

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

/// Writes a small network node by node.
class Net {
 public:
  Graph graph;

  int input(const std::vector<std::int64_t>& shape) {
    Value value;
    value.name = "x";
    value.input = value.declared = true;
    value.element = 1;
    value.shape = shape;
    graph.values.push_back(value);
    graph.inputs.push_back(last());
    return last();
  }
  int constant(const at::Tensor& tensor) {
    return graph.add_constant("c" + std::to_string(graph.values.size()), tensor);
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
};

inline Attribute list(std::vector<std::int64_t> values) {
  return Attribute::of(std::move(values));
}

/// Samples of two scenes that hold the same images: what is fitted on one serves the other just as well.
inline std::vector<Sample> twin_scenes(int each, const std::vector<std::int64_t>& shape) {
  std::vector<Sample> samples;
  for (const std::string scene : {"a", "b"}) {
    for (int i = 0; i < each; ++i) {
      samples.push_back(Sample{numbers(shape, 100 + static_cast<std::uint64_t>(i)), at::Tensor(),
                               scene + std::to_string(i), scene});
    }
  }
  return samples;
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

}  // namespace quboprune::testing
