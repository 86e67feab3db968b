// BatchNormalization, as inference and, for fine-tuning, with batch statistics.
// Statistics per position (spatial = 0 of old opsets) are refused.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> all_but_channels(std::int64_t rank) {
  std::vector<std::int64_t> axes;
  for (std::int64_t a = 0; a < rank; ++a) {
    if (a != 1) axes.push_back(a);
  }
  return axes;
}

constexpr const char* kAverages = "averages over this axis";

/// Before opset 14 the running statistics as outputs say so, since then an attribute.
bool by_batch(const Node& node) {
  return node.integer("training_mode", 0) != 0 || node.output(1) >= 0 || node.output(2) >= 0;
}

class BatchNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    if (node.integer("spatial", 1) == 0)
      throw InputError(node.title() + ": spatial = 0 isn't supported; export with a newer opset");
    // ONNX's momentum weighs the old statistics, LibTorch's the new.
    const double momentum = 1 - node.real("momentum", 0.9);
    const bool batch = mode.training || by_batch(node);
    if (mode.training && in.at(0).dim() > 1 && in[0].numel() == in[0].size(1))
      throw InputError(node.title() +
                       ": one value a channel has no variance to learn; take batches of more samples (a file "
                       "that fixes the batch gives one at a time), or --batch-norm frozen");
    // In training LibTorch updates the running statistics in place: the executor's own copies, or ours.
    const at::Tensor mean = mode.training ? in.at(3) : in.at(3).clone();
    const at::Tensor variance = mode.training ? in.at(4) : in.at(4).clone();
    const at::Tensor y = at::batch_norm(in.at(0), in.at(1), in.at(2), mean, variance, batch, momentum,
                                        node.real("epsilon", 1e-5), false);
    if (node.output(1) < 0 || !batch) return {y};
    const std::vector<std::int64_t> others = all_but_channels(in[0].dim());
    const auto now = at::var_mean(in[0], others, false);  // ONNX counts by n, LibTorch's running by n - 1
    return {y, in[3] * (1 - momentum) + std::get<1>(now) * momentum,
            in[4] * (1 - momentum) + std::get<0>(now) * momentum};
  }

  void couple(const Node& node, Coupling& c) const override {
    couple_same(node, c);
    if (c.rank(node.input(0)) < 2) return;
    if (by_batch(node)) {  // statistics of the batch run over all other axes
      c.freeze(c.labels(node.input(0), 0), kAverages);
      freeze_from(node.input(0), 2, c, kAverages);
    }
    const Labels channels = c.labels(node.input(0), 1);
    for (std::size_t k = 1; k < 5; ++k)
      c.tie(c.labels(node.input(k), 0), channels, "normalises channels that must stay");
    for (std::size_t k = 1; k < node.outputs.size(); ++k) {
      if (c.seen(node.output(k)) && c.rank(node.output(k)) == 1) c.set(node.output(k), 0, channels);
    }
  }
};

}  // namespace

void make_batch_norm(OperatorTable& table) {
  table.add("BatchNormalization", std::make_shared<BatchNormalization>());
}

}  // namespace quboprune
