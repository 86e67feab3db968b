// Operators of our own that run on blocked tensors, for chains of 3x3 convolutions. Analysis never meets
// them.

#include <ATen/Functions.h>

#include "ops/base/blocked_kernels.h"
#include "ops/base/operator.h"

namespace quboprune {
namespace {

at::Tensor to_blocked(const at::Tensor& plain, const RunMode& mode) {
  return mode.fast != nullptr && plain.scalar_type() == at::kFloat ? mode.fast->blocked(plain)
                                                                   : blocked(plain);
}

at::Tensor to_plain(const at::Tensor& x, std::int64_t channels, const RunMode& mode) {
  return mode.fast != nullptr && x.scalar_type() == at::kFloat ? mode.fast->unblocked(x, channels)
                                                               : unblocked(x, channels);
}

class Block final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode& mode) const override {
    return {to_blocked(in.at(0), mode)};
  }
};

class Unblock final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    return {to_plain(in.at(0), in.at(1).size(node.integer("axis", 0)), mode)};
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
    at::Tensor result = at::conv2d(to_plain(x, weight.size(1), mode), weight, bias, 1, pad);
    if (relu) at::relu_(result);
    return {to_blocked(result, mode)};
  }
};

}  // namespace

void make_blocked(OperatorTable& table) {
  table.add("Block", std::make_shared<Block>(), kBlockedDomain);
  table.add("Unblock", std::make_shared<Unblock>(), kBlockedDomain);
  table.add("Conv", std::make_shared<BlockedConv>(), kBlockedDomain);
}

}  // namespace quboprune
