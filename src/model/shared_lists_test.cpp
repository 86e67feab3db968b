#include "model/shared_lists.h"

#include <gtest/gtest.h>

namespace quboprune {
namespace {

void add(onnx::GraphProto& graph, const std::string& op, const std::vector<std::string>& inputs,
         const std::string& output) {
  auto& node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(op + " of " + output);
  for (const auto& input : inputs) node.add_input(input);
  node.add_output(output);
}

/// Three nodes read the list, one of them not as sizes.
onnx::GraphProto three_readers() {
  onnx::GraphProto graph;
  add(graph, "Concat", {"n", "c"}, "list");
  add(graph, "Reshape", {"x", "list"}, "a");
  add(graph, "Identity", {"list"}, "list_2");  // takes the name that a copy would have
  add(graph, "Expand", {"one", "list"}, "b");
  add(graph, "Resize", {"x", "", "", "list"}, "d");
  return graph;
}

TEST(SharedLists, EachNodeThatReadsSizesHasAListOfItsOwn) {
  onnx::GraphProto graph = three_readers();
  const auto copies = part_shared_lists(graph);
  EXPECT_EQ(copies, (std::map<std::string, std::string>{{"list_3", "list"}, {"list_4", "list"}}));
  ASSERT_EQ(graph.node_size(), 7);
  for (int n = 0; n < 3; ++n) {  // before all that read them
    EXPECT_EQ(graph.node(n).op_type(), "Concat");
    EXPECT_EQ(graph.node(n).input(1), "c");
  }
  EXPECT_NE(graph.node(1).name(), graph.node(0).name());
  EXPECT_EQ(graph.node(3).input(1), "list");
  EXPECT_EQ(graph.node(4).input(0), "list");
  EXPECT_EQ(graph.node(5).input(1), "list_3");
  EXPECT_EQ(graph.node(6).input(3), "list_4");
}

TEST(SharedLists, WhatDidNotChangeIsSharedAgain) {
  onnx::GraphProto graph = three_readers();
  const auto copies = part_shared_lists(graph);
  share_equal_lists(graph, copies);
  EXPECT_EQ(graph.SerializeAsString(), three_readers().SerializeAsString());
}

TEST(SharedLists, AListThatBecameAnotherStaysOne) {
  onnx::GraphProto graph = three_readers();
  const auto copies = part_shared_lists(graph);
  graph.mutable_node(1)->set_input(1, "fewer");
  share_equal_lists(graph, copies);
  ASSERT_EQ(graph.node_size(), 6);
  EXPECT_EQ(graph.node(4).input(1), "list_3");
  EXPECT_EQ(graph.node(5).input(3), "list");
}

TEST(SharedLists, OneReaderNeedsNoCopy) {
  onnx::GraphProto graph;
  add(graph, "Concat", {"n", "c"}, "list");
  add(graph, "Reshape", {"x", "list"}, "a");
  EXPECT_TRUE(part_shared_lists(graph).empty());
  EXPECT_EQ(graph.node_size(), 2);
}

}  // namespace
}  // namespace quboprune
