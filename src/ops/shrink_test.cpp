#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "ops/base/operator.h"

namespace quboprune {
namespace {

TEST(Shrink, PullsTowardsZeroAndDropsWhatIsSmall) {
  Node node;
  node.op = "Shrink";
  node.name = "s";
  node.attributes["lambd"].kind = Attribute::Kind::real;
  node.attributes["lambd"].f = 1.5;
  node.attributes["bias"].kind = Attribute::Kind::real;
  node.attributes["bias"].f = 1.0;
  const Operator* op = operators().find(node);
  ASSERT_NE(op, nullptr);
  const at::Tensor y = op->run(node, {at::tensor({-2.0F, -1.0F, 0.0F, 1.0F, 2.0F})}, {}).at(0);
  EXPECT_TRUE(at::equal(y, at::tensor({-1.0F, 0.0F, 0.0F, 0.0F, 1.0F})));
}

}  // namespace
}  // namespace quboprune
