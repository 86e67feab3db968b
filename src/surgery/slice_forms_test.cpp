// Structures of which more than a convolution's channels shrink: each cut equals the mask, and costs what the
// cost model said.

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <tuple>

#include "model/test_net.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::numbers;

/// Takes each group out alone.
void expect_exact_cuts(const Graph& graph, int groups_expected) {
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), groups_expected);
  for (int g = 0; g < groups.size(); ++g) {
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    mask[static_cast<std::size_t>(g)] = 0;
    const Graph sliced = slice(groups, mask);
    const Equivalence e = verify(groups, mask, sliced);
    EXPECT_TRUE(e.holds()) << groups.name(g) << ": " << e.max_abs_difference << " at " << e.where;
    const ChannelGroups left = analyse(sliced);
    for (const Cost cost : {Cost::macs, Cost::params}) {
      EXPECT_EQ(left.cost().value(cost, Mask(static_cast<std::size_t>(left.size()), 1)),
                groups.cost().value(cost, mask))
          << name_of(cost) << " without " << groups.name(g);
    }
  }
}

TEST(SliceForms, ChannelsFoldedIntoTheBatch) {
  for (const char* op : {"Conv", "ConvTranspose"}) {
    Net net;
    const int x = net.input({1, 3, 8, 8});
    const int a = net.add("Conv", {x, net.constant(numbers({4, 3, 1, 1}, 1))});
    const int folded = net.add("Reshape", {a, net.constant(at::tensor({4L, 1L, 8L, 8L}))});
    const int blurred =
        net.add(op, {folded, net.constant(numbers({1, 1, 3, 3}, 2))}, {{"pads", list({1, 1, 1, 1})}});
    const int back = net.add("Reshape", {blurred, net.constant(at::tensor({1L, 4L, 8L, 8L}))});
    expect_exact_cuts(net.finish(net.add("Conv", {back, net.constant(numbers({2, 4, 1, 1}, 3))})), 4);
  }
}

}  // namespace
}  // namespace quboprune
