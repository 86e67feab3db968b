#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "quboprune/channel_groups.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// A graph written down node by node: values are made when first named.
class Sketch {
 public:
  Sketch() {
    const int x = id("x");
    Value& value = graph.values[static_cast<std::size_t>(x)];
    value.input = value.declared = true;
    value.element = 1;
    value.shape = {1, 3, 8, 8};
    graph.inputs = {x};
  }

  int id(const std::string& name) {
    const auto [found, fresh] = ids_.try_emplace(name, static_cast<int>(graph.values.size()));
    if (fresh) graph.values.push_back({.name = name});
    return found->second;
  }
  Sketch& constant(const std::string& name, at::Tensor tensor) {
    graph.values[static_cast<std::size_t>(id(name))].constant = std::move(tensor);
    return *this;
  }
  Sketch& weight(const std::string& name, std::vector<std::int64_t> shape) {
    return constant(name, at::ones(shape));
  }
  Sketch& node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output,
               std::map<std::string, Attribute> attributes = {}) {
    Node n;
    n.op = op;
    n.name = output;
    n.version = 13;
    for (const auto& name : inputs) n.inputs.push_back(name.empty() ? -1 : id(name));
    n.outputs = {id(output)};
    n.attributes = std::move(attributes);
    graph.values[static_cast<std::size_t>(n.outputs[0])].producer = static_cast<int>(graph.nodes.size());
    graph.nodes.push_back(std::move(n));
    return *this;
  }
  Sketch& conv(const std::string& x, const std::string& y, std::int64_t in, std::int64_t out,
               std::int64_t groups = 1) {
    weight(y + ".w", {out, in / groups, 1, 1});
    return node("Conv", {x, y + ".w"}, y, {{"group", Attribute::of(groups)}});
  }
  ChannelGroups ends(const std::string& name) {
    graph.values[static_cast<std::size_t>(id(name))].output = true;
    graph.outputs = {id(name)};
    return analyse(graph);
  }
  std::vector<int> groups_of(const ChannelGroups& groups, const std::string& layer) const {
    for (const auto& l : groups.layers()) {
      if (l.name == layer) return l.groups;
    }
    return {};
  }

  Graph graph;

 private:
  std::map<std::string, int> ids_;
};

at::Tensor numbers(std::vector<std::int64_t> values) {
  return at::tensor(values, at::kLong);
}

std::string reasons(const ChannelGroups& groups) {
  std::string all;
  for (const auto& f : groups.frozen()) all += f.reason + "\n";
  return all;
}

TEST(Analyse, ResidualSumTiesItsOperands) {
  Sketch s;
  s.conv("x", "a", 3, 4).conv("a", "b", 4, 4).node("Add", {"a", "b"}, "sum").conv("sum", "y", 4, 2);
  const auto groups = s.ends("y");
  EXPECT_EQ(groups.size(), 4);
  EXPECT_EQ(s.groups_of(groups, "a"), s.groups_of(groups, "b"));
}

TEST(Analyse, ConcatKeepsItsPartsApart) {
  Sketch s;
  s.conv("x", "a", 3, 4).conv("x", "b", 3, 5);
  s.node("Concat", {"a", "b"}, "both", {{"axis", Attribute::of(1)}}).conv("both", "y", 9, 2);
  EXPECT_EQ(s.ends("y").size(), 9);
}

TEST(Analyse, DepthwiseFollowsItsInput) {
  Sketch s;
  s.conv("x", "a", 3, 4).conv("a", "b", 4, 8, 4).conv("b", "y", 8, 2);
  const auto groups = s.ends("y");
  EXPECT_EQ(groups.size(), 4);
  EXPECT_EQ(s.groups_of(groups, "b"), (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(Analyse, OfManySmallGroupsWholeOnesGo) {
  Sketch s;
  s.conv("x", "a", 3, 12).conv("a", "b", 12, 18, 6).conv("b", "y", 18, 2);
  const ChannelGroups groups = s.ends("y");
  EXPECT_EQ(groups.size(), 6);
  EXPECT_EQ(s.groups_of(groups, "a"), (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  EXPECT_EQ(s.groups_of(groups, "b"),
            (std::vector<int>{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5}));
}

TEST(Analyse, OfFewLargeGroupsAllLoseTheSameChannels) {
  Sketch s;
  s.conv("x", "a", 3, 6).conv("a", "b", 6, 8, 2).conv("b", "y", 8, 2);
  const ChannelGroups groups = s.ends("y");
  EXPECT_EQ(s.groups_of(groups, "a"), (std::vector<int>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(s.groups_of(groups, "b"), (std::vector<int>{3, 4, 5, 6, 3, 4, 5, 6}));
}

TEST(Analyse, GroupsThatMustStayLoseTheSameChannelsEach) {
  Sketch s;  // the outputs are the network's, the inputs aren't
  s.conv("x", "a", 3, 12).conv("a", "y", 12, 6, 6);
  const ChannelGroups ends = s.ends("y");
  EXPECT_EQ(s.groups_of(ends, "a"), (std::vector<int>{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(s.groups_of(ends, "y"), std::vector<int>(6, -1));

  Sketch t;  // and the other way round
  t.conv("x", "a", 3, 6, 3).conv("a", "y", 6, 2);
  const ChannelGroups begins = t.ends("y");
  EXPECT_EQ(t.groups_of(begins, "a"), (std::vector<int>{0, 1, 0, 1, 0, 1}));
}

TEST(Analyse, ChannelShuffleMovesLabels) {
  Sketch s;
  s.conv("x", "a", 3, 6).constant("split", numbers({1, 2, 3, 8, 8})).constant("whole", numbers({1, 6, 8, 8}));
  s.node("Reshape", {"a", "split"}, "parts");
  s.node("Transpose", {"parts"}, "turned",
         {{"perm", Attribute::of(std::vector<std::int64_t>{0, 2, 1, 3, 4})}});
  s.node("Reshape", {"turned", "whole"}, "b").conv("b", "y", 6, 2);
  // Of the two halves the same channels go: the axis of three carries the labels.
  EXPECT_EQ(s.ends("y").size(), 3);
}

TEST(Analyse, UnknownOperatorFreezesWhatReachesIt) {
  Sketch s;
  s.conv("x", "a", 3, 4).conv("a", "y", 4, 4).node("Frobnicate", {"a"}, "strange");
  const auto groups = s.ends("y");
  EXPECT_EQ(groups.size(), 0);
  EXPECT_NE(reasons(groups).find("Frobnicate 'strange': an operator that isn't known"), std::string::npos);
}

TEST(Analyse, ConstantThatAnUnknownOperatorReadsStaysWhole) {
  Sketch s;
  s.weight("shared", {4, 3, 1, 1}).node("Frobnicate", {"shared"}, "strange");
  s.node("Conv", {"x", "shared"}, "a").conv("a", "y", 4, 2);
  EXPECT_EQ(s.ends("y").size(), 0);
}

TEST(Analyse, SoftmaxOverChannelsFreezesThem) {
  Sketch s;
  s.conv("x", "a", 3, 4).node("Softmax", {"a"}, "p", {{"axis", Attribute::of(1)}}).conv("p", "y", 4, 2);
  const auto groups = s.ends("y");
  EXPECT_EQ(groups.size(), 0);
  EXPECT_NE(reasons(groups).find("works across these channels"), std::string::npos);
}

TEST(Analyse, ArithmeticWithTheNumberOfChannelsFreezesThem) {
  Sketch s;
  s.conv("x", "a", 3, 4).node("Shape", {"a"}, "shape").constant("one", numbers({1}));
  s.node("Gather", {"shape", "one"}, "count").node("Cast", {"count"}, "real", {{"to", Attribute::of(1)}});
  s.node("Div", {"a", "real"}, "scaled").conv("scaled", "y", 4, 2);
  const auto groups = s.ends("y");
  EXPECT_EQ(groups.size(), 0);
  EXPECT_NE(reasons(groups).find("computes with the number of channels"), std::string::npos);
}

TEST(Analyse, SizesOfOtherAxesFreezeNothing) {
  Sketch s;
  s.conv("x", "a", 3, 4).node("Shape", {"a"}, "shape").constant("two", numbers({2}));
  s.node("Gather", {"shape", "two"}, "height").node("Cast", {"height"}, "real", {{"to", Attribute::of(1)}});
  s.node("Div", {"a", "real"}, "scaled").conv("scaled", "y", 4, 2);
  EXPECT_EQ(s.ends("y").size(), 4);
}

TEST(Analyse, SumOverChannelsIsAContractionAndMeanIsNot) {
  for (const bool sum : {true, false}) {
    Sketch s;
    s.conv("x", "a", 3, 4).constant("axis", numbers({1}));
    if (sum) {
      s.node("ReduceSum", {"a", "axis"}, "y");
    } else {
      s.node("ReduceMean", {"a"}, "y", {{"axes", Attribute::of(std::vector<std::int64_t>{1})}});
    }
    EXPECT_EQ(s.ends("y").size(), sum ? 4 : 0);
  }
}

TEST(Analyse, WholeHeadsOfAttentionAreGroups) {
  Sketch s;
  s.conv("x", "stem", 3, 5).constant("rows", numbers({1, 5, 64})).constant("heads", numbers({1, 64, 2, 4}));
  s.constant("flat", numbers({1, 64, 8})).weight("wo", {8, 2});
  s.node("Reshape", {"stem", "rows"}, "columns");
  const auto order = [](std::vector<std::int64_t> perm) {
    return std::map<std::string, Attribute>{{"perm", Attribute::of(std::move(perm))}};
  };
  s.node("Transpose", {"columns"}, "tokens", order({0, 2, 1}));
  for (const std::string part : {"q", "k", "v"}) {
    s.weight("w" + part, {5, 8}).node("MatMul", {"tokens", "w" + part}, part);
    s.node("Reshape", {part, "heads"}, part + "4");
    s.node(
        "Transpose", {part + "4"}, part + "t",
        order(part == "k" ? std::vector<std::int64_t>{0, 2, 3, 1} : std::vector<std::int64_t>{0, 2, 1, 3}));
  }
  s.node("MatMul", {"qt", "kt"}, "scores").node("Softmax", {"scores"}, "p", {{"axis", Attribute::of(-1)}});
  s.node("MatMul", {"p", "vt"}, "mixed").node("Transpose", {"mixed"}, "back", order({0, 2, 1, 3}));
  s.node("Reshape", {"back", "flat"}, "joined").node("MatMul", {"joined", "wo"}, "y");
  const auto groups = s.ends("y");
  EXPECT_EQ(s.groups_of(groups, "q"), s.groups_of(groups, "v"));
  const auto heads = s.groups_of(groups, "q");
  ASSERT_EQ(heads.size(), 8U);
  EXPECT_EQ(std::vector<int>(4, heads[0]), std::vector<int>(heads.begin(), heads.begin() + 4));
  EXPECT_NE(heads[0], heads[4]);
  EXPECT_EQ(groups.size(), 5 + 2);
}

TEST(Frozen, ReasonsThatDifferByNamesAloneAreOneWhereTheyCostLittle) {
  Sketch s;
  std::vector<std::string> parts;
  for (const std::string i : {"1", "2", "3"}) {
    s.conv("x", "a" + i, 3, 4).node("Softmax", {"a" + i}, "p" + i, {{"axis", Attribute::of(1)}});
    parts.push_back("p" + i);
  }
  s.node("Concat", parts, "all", {{"axis", Attribute::of(1)}}).conv("all", "y", 12, 600);
  const auto groups = s.ends("y");
  ASSERT_EQ(groups.frozen().size(), 2U) << reasons(groups);
  EXPECT_EQ(groups.frozen()[0].channels, 600);
  EXPECT_EQ(groups.frozen()[1].reason, "3 like Softmax 'p1': works across these channels");
  EXPECT_EQ(groups.frozen()[1].channels, 12);
  EXPECT_EQ(groups.frozen()[1].macs, 3 * 64 * 12);
}

TEST(Kept, NamesTheIndicesThatStay) {
  Sketch s;
  s.conv("x", "a", 3, 3)
      .conv("x", "b", 3, 2)
      .node("Concat", {"a", "b"}, "both", {{"axis", Attribute::of(1)}});
  s.conv("both", "y", 5, 2);
  const auto groups = s.ends("y");
  ASSERT_EQ(groups.size(), 5);  // a's three, then b's two
  const auto kept = [&](const std::string& value, int axis, const Mask& mask) {
    return groups.kept(s.id(value), axis, mask);
  };
  using Indices = std::vector<std::int64_t>;
  EXPECT_EQ(kept("both", 1, {1, 0, 1, 0, 1}), (Indices{0, 2, 4}));
  EXPECT_EQ(kept("y.w", 1, {1, 0, 1, 0, 1}), (Indices{0, 2, 4}));
  EXPECT_EQ(kept("both", -3, {1, 0, 1, 0, 1}), (Indices{0, 2, 4}));
  EXPECT_EQ(kept("b", 1, {1, 1, 1, 0, 1}), Indices{1});
  EXPECT_EQ(kept("b", 1, {1, 1, 1, 0, 0}), Indices{});
  // All stay: of an axis that loses nothing, or that nothing can be taken from.
  EXPECT_EQ(kept("a", 1, {1, 1, 1, 0, 0}), std::nullopt);
  EXPECT_EQ(kept("y", 1, {0, 0, 1, 0, 1}), std::nullopt);
  EXPECT_EQ(kept("both", 2, {0, 0, 1, 0, 1}), std::nullopt);
}

TEST(Analyse, QuantisedNetworkIsRefusedInOneLine) {
  Sketch s;
  s.constant("w", at::ones({4, 3, 1, 1}, at::kChar)).node("Cast", {"x"}, "xi", {{"to", Attribute::of(2)}});
  s.node("ConvInteger", {"xi", "w"}, "y");
  try {
    s.ends("y");
    FAIL() << "wasn't refused";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("the network is quantised"), std::string::npos);
  }
}

}  // namespace
}  // namespace quboprune
