#include "model/shared_fills.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "model/test_net.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::Net;
using testing::numbers;

/// Three nodes that read `shared`.
Graph additions(const at::Tensor& shared) {
  Net net;
  const int x = net.input({-1, 4});
  const int c = net.constant(shared);
  const int first = net.add("Add", {x, c});
  const int second = net.add("Add", {first, c});
  return net.finish(net.add("Mul", {second, c}));
}

TEST(SharedFills, EveryReaderGetsItsOwn) {
  Graph graph = additions(at::zeros({4, 1, 1}));
  const std::size_t before = graph.values.size();
  part_shared_fills(graph);
  EXPECT_EQ(graph.values.size(), before + 2);
  std::set<int> read;
  std::set<std::string> names;
  for (const Node& node : graph.nodes) {
    read.insert(node.inputs[1]);
    EXPECT_TRUE(at::equal(graph.values[index_of(node.inputs[1])].constant, at::zeros({4, 1, 1})));
  }
  for (const Value& value : graph.values) names.insert(value.name);
  EXPECT_EQ(read.size(), 3U);
  EXPECT_EQ(names.size(), graph.values.size());
}

TEST(SharedFills, EveryInputOfANodeGetsItsOwn) {
  Net net;
  const int x = net.input({-1, 4, 8, 8});
  const int ones = net.constant(at::ones({4}));
  const int zeros = net.constant(at::zeros({4}));
  Graph graph = net.finish(net.add("BatchNormalization", {x, ones, zeros, zeros, ones}));
  part_shared_fills(graph);
  const auto& inputs = graph.nodes[0].inputs;
  EXPECT_EQ(std::set<int>(inputs.begin(), inputs.end()).size(), 5U);
}

TEST(SharedFills, WhatHoldsSomethingOrIsNoVectorStaysShared) {
  for (const at::Tensor& shared :
       {numbers({4}, 1), at::ones({1}), at::ones({2, 2}), at::ones({4}, at::kLong)}) {
    Graph graph = additions(shared);
    const std::size_t before = graph.values.size();
    part_shared_fills(graph);
    EXPECT_EQ(graph.values.size(), before);
  }
  Graph graph = additions(at::ones({4}));
  graph.nodes[2].captured.push_back(graph.nodes[0].inputs[1]);
  const std::size_t before = graph.values.size();
  part_shared_fills(graph);
  EXPECT_EQ(graph.values.size(), before);
}

}  // namespace
}  // namespace quboprune
