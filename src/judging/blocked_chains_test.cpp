#include "judging/blocked_chains.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "coupling/analysis.h"
#include "model/test_net.h"
#include "ops/base/blocked_kernels.h"
#include "quboprune/executor.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::uniform;

int conv(Net& net, int from, std::int64_t inputs, std::int64_t outputs, Rng& rng) {
  const std::vector<int> reads{from, net.constant(uniform({outputs, inputs, 3, 3}, rng)),
                               net.constant(uniform({outputs}, rng))};
  return net.add("Conv", reads, {{"pads", list({1, 1, 1, 1})}});
}

int conv_relu(Net& net, int from, std::int64_t inputs, std::int64_t outputs, Rng& rng) {
  return net.add("Relu", {conv(net, from, inputs, outputs, rng)});
}

/// 3 -> some of everything that reads and gives blocked tensors, or plain ones -> 3.
Graph random_network(Rng& rng) {
  Net net;
  const std::int64_t width = 18;
  int h = conv_relu(net, net.input({-1, 3, -1, -1}), 3, width, rng);
  for (int stage = 0; stage < 4; ++stage) {
    const int next = conv(net, h, width, width, rng);
    switch (rng.below(7)) {
      case 0:
        h = net.add("Relu", {next});
        break;
      case 1:
        h = net.add("Add", {h, net.add("Relu", {next})});
        break;
      case 2:
        h = net.add("Sub", {net.add("LeakyRelu", {next}), net.add("Sigmoid", {next})});
        break;
      case 3: {
        const int half =
            net.add("MaxPool", {next}, {{"kernel_shape", list({2, 2})}, {"strides", list({2, 2})}});
        const int deep = conv_relu(net, half, width, width, rng);
        const int scales = net.constant(at::tensor({1.0F, 1.0F, 2.0F, 2.0F}));
        h = net.add("Add", {net.add("Resize", {deep, -1, scales}), h});
        break;
      }
      case 4:
        h = conv_relu(net, net.add("Concat", {h, next}, {{"axis", Attribute::of(1)}}), 2 * width, width, rng);
        break;
      case 5:
        h = net.add("Mul", {next, net.constant(uniform({width, 1, 1}, rng))});
        break;
      default:
        h = net.add("Add", {next, net.add("GlobalAveragePool", {h})});
        break;
    }
  }
  return net.finish(conv(net, h, width, 3, rng));
}

/// Both the rewritten network as LibTorch runs it and, on enough pixels, by fast kernels. The first sums in
/// another order at most: 324 products a sum, two orders of which differ by some sqrt(324)·2^-24 = 1e-6 of
/// it, up to eight layers deep. The second rounds up to 50 times as much as one sum (blocked_test.cpp), 3e-6
/// of sums of absolute products, which may be ten times their sum, as deep.
void expect_same(const Graph& rewritten, const Graph& plain, const at::Tensor& input) {
  const at::NoGradGuard no_grad;
  const at::Tensor expected = Executor(plain)(input);
  const double largest = expected.abs().max().item<double>();
  EXPECT_LT((Executor(rewritten)(input) - expected).abs().max().item<double>(), 1e-5 * largest);
  BlockedKernels kernels(std::size_t{1} << 24U);
  const at::Tensor fast = Executor(rewritten).run({input}, {.fast = &kernels}).front();
  EXPECT_LT((fast - expected).abs().max().item<double>(), 3e-4 * largest);
}

Graph chained(const ChannelGroups& groups, const Graph& cut) {
  const Coupling& coupling = *groups.analysis().coupling;
  return with_blocked_chains(cut, [&](int v) { return coupling.shape(v); });
}

std::int64_t count(const Graph& graph, const std::string& op, const std::string& domain = kBlockedDomain) {
  return std::ranges::count_if(graph.nodes, [&](const Node& n) { return n.op == op && n.domain == domain; });
}

TEST(BlockedChains, GiveWhatTheNetworkGives) {
  Rng rng(7);
  for (int round = 0; round < 20; ++round) {
    const ChannelGroups groups = analyse(random_network(rng));
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    for (auto& kept : mask) kept = rng.below(4) != 0 ? 1 : 0;
    const Graph cut = slice(groups, groups.empties_an_axis(mask) ? Mask(mask.size(), 1) : mask);
    const Graph rewritten = chained(groups, cut);
    EXPECT_GT(count(rewritten, "Conv"), 0);
    expect_same(rewritten, cut, at::randn({2, 3, 48, 48}));
  }
}

TEST(BlockedChains, ConvertOnceAndHoldTheirReLUs) {
  Rng rng(8);
  Net net;
  int h = conv_relu(net, net.input({-1, 3, -1, -1}), 3, 20, rng);
  for (int k = 0; k < 3; ++k) h = conv_relu(net, h, 20, 20, rng);
  h = net.add("Add", {h, conv_relu(net, h, 20, 20, rng)});
  const Graph graph = net.finish(conv(net, conv_relu(net, h, 20, 20, rng), 20, 3, rng));
  const Graph rewritten = chained(analyse(graph), graph);
  EXPECT_EQ(count(rewritten, "Conv"), 5);
  EXPECT_EQ(count(rewritten, "Block"), 1);
  EXPECT_EQ(count(rewritten, "Unblock"), 1);
  EXPECT_EQ(count(rewritten, "Relu", ""), 1) << "behind the first convolution, which is too narrow";
}

TEST(BlockedChains, LeaveOthersAlone) {
  Rng rng(9);
  Net net;
  const int h = conv_relu(net, net.input({-1, 3, -1, -1}), 3, 12, rng);
  const Graph narrow = net.finish(conv(net, h, 12, 3, rng));
  EXPECT_EQ(chained(analyse(narrow), narrow).nodes.size(), narrow.nodes.size());
}

TEST(BlockedChains, EndInTheNetworksOutputs) {
  Rng rng(10);
  Net net;
  const int h = conv_relu(net, net.input({-1, 16, -1, -1}), 16, 16, rng);
  const Graph graph = net.finish(net.add("Relu", {conv(net, h, 16, 16, rng)}));
  const Graph rewritten = chained(analyse(graph), graph);
  EXPECT_EQ(count(rewritten, "Conv"), 2);
  expect_same(rewritten, graph, at::randn({2, 16, 9, 7}));
}

TEST(BlockedChains, LeaveChannelsThatAreResizedAlone) {
  Rng rng(11);
  Net net;
  const int h = conv_relu(net, net.input({-1, 3, -1, -1}), 3, 16, rng);
  const int wide = net.add("Resize", {h, -1, net.constant(at::tensor({1.0F, 2.0F, 1.0F, 1.0F}))});
  const Graph graph = net.finish(conv(net, wide, 32, 16, rng));
  const Graph rewritten = chained(analyse(graph), graph);
  EXPECT_EQ(count(rewritten, "Conv"), 1);
  expect_same(rewritten, graph, at::randn({2, 3, 9, 7}));
}

}  // namespace
}  // namespace quboprune
