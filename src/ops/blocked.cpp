// Operators of our own that run on blocked tensors, for chains of 3x3 convolutions. Analysis never meets
// them.

#include <ATen/Functions.h>

#include "ops/base/blocked_kernels.h"
#include "ops/base/operator.h"

namespace quboprune {
namespace {

bool is_fast(const RunMode& mode, const at::Tensor& x) {
  return mode.fast != nullptr && x.scalar_type() == at::kFloat;
}

class Block final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode& mode) const override {
    return {is_fast(mode, in.at(0)) ? mode.fast->blocked(in[0]) : blocked(in[0])};
  }
};

class Unblock final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const auto channels = in.at(1).size(node.integer("axis", 0));
    return {is_fast(mode, in[0]) ? mode.fast->unblocked(in[0], channels) : unblocked(in[0], channels)};
  }
};

class BlockedConv final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const at::Tensor &x = in.at(0), weight = in.at(1), bias = in.size() > 2 ? in[2] : at::Tensor();
    const auto pad = node.integer("pad", 0);
    const bool relu = node.integer("relu", 0) != 0;
    if (mode.fast != nullptr) {
      if (auto result = mode.fast->convolution(x, weight, bias, pad, relu)) return {*result};
    }
    const bool fast = is_fast(mode, x);
    const at::Tensor plain = fast ? mode.fast->unblocked(x, weight.size(1)) : unblocked(x, weight.size(1));
    at::Tensor result = at::conv2d(plain, weight, bias, 1, pad);
    if (relu) at::relu_(result);
    return {fast ? mode.fast->blocked(result) : blocked(result)};
  }
};

}  // namespace

void make_blocked(OperatorTable& table) {
  table.add("Block", std::make_shared<Block>(), kBlockedDomain);
  table.add("Unblock", std::make_shared<Unblock>(), kBlockedDomain);
  table.add("Conv", std::make_shared<BlockedConv>(), kBlockedDomain);
}

}  // namespace quboprune
