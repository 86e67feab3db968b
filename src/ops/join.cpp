// Join, an operator of our own that no file holds: all outputs of a network side by side, [batch, numbers],
// each divided by its scale (attribute `scales`), so that one distance compares them all; what isn't finite
// (masked logits) counts as 0. Input 0 gives the batch; an output without a batch axis counts for every
// sample. Keeps all that reaches it.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"

namespace quboprune {
namespace {

class Join final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto batch = in.at(0).dim() > 0 ? in[0].size(0) : 1;
    const auto scales = node.reals("scales");
    Tensors rows;
    for (std::size_t k = 1; k < in.size(); ++k) {
      const bool batched = in[k].dim() > 0 && in[k].size(0) == batch;
      const at::Tensor row =
          batched ? in[k].reshape({batch, -1}) : in[k].reshape({1, -1}).expand({batch, -1});
      rows.push_back(row.to(at::kFloat).nan_to_num(0, 0, 0) / scales.at(k - 1));
    }
    return {at::cat(rows, 1)};
  }
};

}  // namespace

void make_join(OperatorTable& table) {
  table.add("Join", std::make_shared<Join>(), "quboprune");
}

}  // namespace quboprune
