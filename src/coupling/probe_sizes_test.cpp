#include "coupling/probe_sizes.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <string>

#include "coupling/analysis.h"
#include "quboprune/channel_groups.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// One node between an input of this shape (-1: open) and the output.
Graph network(std::vector<std::int64_t> shape, const std::string& op,
              const std::map<std::string, Attribute>& attributes = {}, const Constant& weight = {}) {
  Graph graph;
  graph.values.resize(3);
  graph.values[0] = {.name = "x", .shape = std::move(shape)};
  graph.values[0].input = graph.values[0].declared = true;
  graph.values[0].element = 1;
  graph.values[1].name = "w";
  graph.values[1].constant = weight;
  graph.values[2].name = "y";
  graph.values[2].output = true;
  graph.values[2].producer = 0;
  Node node;
  node.op = op;
  node.name = "n";
  node.version = 13;
  node.inputs = {0};
  if (weight.defined()) node.inputs.push_back(1);
  node.outputs = {2};
  node.attributes = attributes;
  graph.nodes = {node};
  graph.inputs = {0};
  graph.outputs = {2};
  return graph;
}

TEST(ProbeSizes, AFileWithoutOpenSizesHasOne) {
  const Graph graph = network({2, 3, 20, 30}, "Relu");
  const InputShapes own = {{2, 3, 20, 30}};
  EXPECT_EQ(first_sizes(graph, {{3, 40, 40}}).shapes, std::vector<InputShapes>{own});
  EXPECT_EQ(other_sizes(graph, own), std::vector<InputShapes>{own});
}

TEST(ProbeSizes, TheDatasSizeComesFirstUnlessItIsLarge) {
  const Graph graph = network({-1, 3, -1, -1}, "Relu");
  EXPECT_EQ(first_sizes(graph, {{3, 40, 50}}).shapes[0], (InputShapes{{1, 3, 40, 50}}));
  EXPECT_EQ(first_sizes(graph, {{3, 4000, 5000}}).shapes[0], (InputShapes{{1, 3, 128, 128}}));
  EXPECT_EQ(first_sizes(graph, {{3, 4000, 5000}}).shapes[6], (InputShapes{{1, 3, 4000, 5000}}));
  EXPECT_EQ(first_sizes(graph, {{4, 40, 50}}).shapes[0], (InputShapes{{1, 3, 128, 128}}));  // doesn't fit
}

TEST(ProbeSizes, OnlyTheDatasOwnSizeIsRunWhateverItTakes) {
  const Graph graph = network({-1, 3, -1, -1}, "Relu", {});
  EXPECT_TRUE(first_sizes(graph, {{3, 56, 72}, {}}).wanted);
  EXPECT_FALSE(first_sizes(graph, {{3, 1024, 1024}, {}}).wanted) << "comes after the usual ones";
  EXPECT_FALSE(first_sizes(graph, {{4, 56, 72}, {}}).wanted) << "doesn't fit";
  EXPECT_FALSE(first_sizes(graph, {}).wanted);
}

TEST(ProbeSizes, OtherInputsTakeTheSizesOfTheirArrays) {
  Graph graph = network({-1, 3, -1, -1}, "Relu");
  for (const char* name : {"guide", "level", "unnamed"}) {
    graph.values.push_back({.name = name, .input = true, .declared = true, .shape = {-1, 1, -1, -1}});
    graph.inputs.push_back(static_cast<int>(graph.values.size()) - 1);
  }
  const SampleSizes sample{{3, 40, 50}, {{"guide", {1, 20, 25}}, {"level", {1, 1, 1}}}};
  const InputShapes first = first_sizes(graph, sample).shapes[0];
  EXPECT_EQ(first, (InputShapes{{1, 3, 40, 50}, {1, 1, 20, 25}, {1, 1, 1, 1}, {1, 1, 40, 50}}));
  // Each grows by the same factors, but a single position serves all.
  const InputShapes second = other_sizes(graph, first)[0];
  EXPECT_EQ(second, (InputShapes{{2, 3, 80, 150}, {2, 1, 40, 75}, {2, 1, 1, 1}, {2, 1, 80, 150}}));
}

TEST(ProbeSizes, TheSecondSizeIsAnotherThanTheFirst) {
  const Graph graph = network({-1, 3, -1, -1}, "Relu");
  EXPECT_EQ(other_sizes(graph, {{1, 3, 128, 128}})[0], (InputShapes{{2, 3, 96, 160}}));
  EXPECT_EQ(other_sizes(graph, {{1, 3, 96, 96}})[0], (InputShapes{{2, 3, 160, 192}}));
  EXPECT_EQ(other_sizes(graph, {{1, 3, 96, 96}}).back(), (InputShapes{{1, 3, 96, 96}}));
}

TEST(ProbeSizes, AnyMultipleIsFoundWithASecondOne) {
  for (const std::int64_t multiple : {24, 37, 149}) {
    Analysis a(network({-1, 3, -1, -1}, "SpaceToDepth", {{"blocksize", Attribute::of(multiple)}}));
    probe(a, {});
    EXPECT_EQ(a.input_shapes[0][2] % multiple, 0);
    EXPECT_EQ(a.other_input_shapes[0][2] % multiple, 0);
    EXPECT_NE(a.input_shapes[0][2], a.other_input_shapes[0][2]);
  }
}

TEST(ProbeSizes, SoundIsLongEnoughForItsKernels) {
  Analysis a(network({-1, 1, -1}, "Conv", {}, at::ones({8, 1, 800})));
  probe(a, {});
  EXPECT_GE(a.input_shapes[0][2], 800);
  EXPECT_NE(a.input_shapes[0][2], a.other_input_shapes[0][2]);
}

TEST(ProbeSizes, WhereNoneRunsTheErrorSaysWhatWasTriedAndWhy) {
  Analysis a(network({-1, 3, -1, -1}, "SpaceToDepth", {{"blocksize", Attribute::of(997)}}));
  try {
    probe(a, {});
    FAIL() << "ran";
  } catch (const InputError& e) {
    const std::string text = e.what();
    for (const char* part :
         {"128, 64, 224", "each from 16 to 160", "SpaceToDepth 'n'", "export it with the size that it takes"})
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
  Analysis with_data(network({-1, 3, -1, -1}, "SpaceToDepth", {{"blocksize", Attribute::of(997)}}));
  probe(with_data, {{3, 997, 1994}});
  EXPECT_EQ(with_data.input_shapes, (InputShapes{{1, 3, 997, 1994}}));
  EXPECT_EQ(with_data.other_input_shapes, (InputShapes{{2, 3, 1994, 3988}}));
}

TEST(ProbeSizes, KeepChannelsLastWhereTheNetworkTurnsThemForward) {
  const std::map<std::string, Attribute> forward{
      {"perm", Attribute::of(std::vector<std::int64_t>{0, 3, 1, 2})}};
  EXPECT_EQ(first_sizes(network({-1, -1, -1, 3}, "Transpose", forward), {}).shapes.front().front(),
            (std::vector<std::int64_t>{1, 128, 128, 3}));
  // A width of three, not three channels.
  EXPECT_EQ(first_sizes(network({-1, -1, -1, 3}, "Relu"), {}).shapes.front().front(),
            (std::vector<std::int64_t>{1, 3, 128, 3}));
}

}  // namespace
}  // namespace quboprune
