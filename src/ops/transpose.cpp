// Transpose.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> order_of(const Node& node, std::int64_t rank) {
  auto order = node.integers("perm");
  if (order.empty()) {
    for (std::int64_t a = rank; a-- > 0;) order.push_back(a);
  }
  for (auto& a : order) a = positive_axis(a, rank, node);
  return order;
}

class Transpose final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {in.at(0).permute(order_of(node, in[0].dim()))};
  }
  void couple(const Node& node, Coupling& c) const override {
    const auto order = order_of(node, c.rank(node.input(0)));
    for (std::size_t a = 0; a < order.size(); ++a) {
      c.set(node.output(0), static_cast<int>(a), c.labels(node.input(0), static_cast<int>(order[a])));
    }
  }
};

}  // namespace

void make_transpose(OperatorTable& table) {
  table.add("Transpose", std::make_shared<Transpose>());
}

}  // namespace quboprune
