// BatchNormalization, as inference and, for fine-tuning, with batch statistics.
// Statistics per position (spatial = 0 of old opsets) are refused.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class BatchNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    if (node.integer("spatial", 1) == 0)
      throw InputError(node.title() + ": spatial = 0 isn't supported; export with a newer opset");
    // ONNX's momentum weighs the old statistics, LibTorch's the new.
    const double momentum = 1 - node.real("momentum", 0.9);
    return {at::batch_norm(in.at(0), in.at(1), in.at(2), in.at(3), in.at(4), mode.training, momentum,
                           node.real("epsilon", 1e-5), false)};
  }

  void couple(const Node& node, Coupling& c) const override {
    couple_same(node, c);
    if (c.rank(node.input(0)) < 2) return;
    const Labels channels = c.labels(node.input(0), 1);
    for (std::size_t k = 1; k < 5; ++k)
      c.tie(c.labels(node.input(k), 0), channels, "normalises channels that must stay");
  }
};

}  // namespace

void make_batch_norm(OperatorTable& table) {
  table.add("BatchNormalization", std::make_shared<BatchNormalization>());
}

}  // namespace quboprune
