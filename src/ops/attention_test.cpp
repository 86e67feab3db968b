#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/test_net.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using testing::numbers;

Node attention(const std::map<std::string, std::int64_t>& attributes) {
  Node node;
  node.op = "Attention";
  node.name = "a";
  for (const auto& [name, value] : attributes) node.attributes[name] = Attribute::of(value);
  return node;
}

at::Tensor run(const Node& node, const Tensors& in) {
  return operators().find(node)->run(node, in, {}).at(0);
}

/// The definition, one head and query at a time.
at::Tensor by_the_definition(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  at::Tensor y = at::zeros({1, q.size(1), q.size(2), v.size(3)});
  const auto each = q.size(1) / k.size(1);
  for (std::int64_t h = 0; h < q.size(1); ++h) {
    for (std::int64_t i = 0; i < q.size(2); ++i) {
      const auto seen = causal ? i + 1 : k.size(2);
      const at::Tensor scores = at::mv(k[0][h / each].slice(0, 0, seen), q[0][h][i]) / std::sqrt(q.size(3));
      const at::Tensor weights = scores.exp() / scores.exp().sum();
      y[0][h][i].copy_(at::mv(v[0][h / each].slice(0, 0, seen).t(), weights));
    }
  }
  return y;
}

TEST(Attention, IsItsDefinition) {
  const at::Tensor q = numbers({1, 4, 5, 3}, 1);
  const at::Tensor k = numbers({1, 2, 6, 3}, 2);
  const at::Tensor v = numbers({1, 2, 6, 2}, 3);
  for (const bool causal : {false, true}) {
    const at::Tensor expected = by_the_definition(q, k, v, causal);
    // Sums of six products in float32: a few units in the last place of numbers around 1.
    EXPECT_TRUE(at::allclose(run(attention({{"is_causal", causal}}), {q, k, v}), expected, 1e-5, 1e-6));
    const auto joined = [](const at::Tensor& t) { return t.transpose(1, 2).flatten(2); };
    const Node node = attention({{"is_causal", causal}, {"q_num_heads", 4}, {"kv_num_heads", 2}});
    EXPECT_TRUE(at::allclose(run(node, {joined(q), joined(k), joined(v)}), joined(expected), 1e-5, 1e-6));
  }
}

TEST(Attention, AQueryThatMayLookNowhereGivesZeros) {
  const at::Tensor x = numbers({1, 1, 2, 3}, 1);
  const at::Tensor mask = at::tensor({1, 1, 0, 0}).to(at::kBool).view({2, 2});
  const at::Tensor y = run(attention({}), {x, x, x, mask});
  EXPECT_TRUE(at::equal(y[0][0][1], at::zeros({3})));
  EXPECT_FALSE(at::equal(y[0][0][0], at::zeros({3})));
}

TEST(Attention, SaysWhatDoesNotFit) {
  const at::Tensor x = numbers({1, 2, 6}, 1);
  EXPECT_THROW(run(attention({}), {x, x, x}), InputError);  // of how many heads?
  EXPECT_THROW(run(attention({{"q_num_heads", 4}, {"kv_num_heads", 2}}), {x, x, x}), InputError);
  EXPECT_THROW(run(attention({{"q_num_heads", 2}, {"kv_num_heads", 3}}), {x, x, x}), InputError);
  EXPECT_THROW(run(attention({}), {x.unsqueeze(0), x, x}), InputError);
}

}  // namespace
}  // namespace quboprune
