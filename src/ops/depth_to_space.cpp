// DepthToSpace (DCR and CRD) and SpaceToDepth: pixel shuffle. The block² channels that make one go together.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::int64_t block_of(const Node& node) {
  const auto block = node.integer("blocksize", 0);
  if (block < 1 || block > (1 << 16)) throw InputError(node.title() + ": has no usable blocksize");
  return block;
}

void check_rank(const Node& node, const at::Tensor& x) {
  if (x.dim() != 4) throw InputError(node.title() + ": wants four axes, gets " + std::to_string(x.dim()));
}

/// The channels of one pixel lie together (CRD), or a block apart (DCR).
bool columns_first(const Node& node) {
  const std::string mode = node.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") throw InputError(node.title() + ": mode '" + mode + "' isn't known");
  return mode == "CRD";
}

class DepthToSpace final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    check_rank(node, x);
    const auto b = block_of(node);
    const auto n = x.size(0);
    const auto c = x.size(1) / (b * b);
    const auto h = x.size(2);
    const auto w = x.size(3);
    const at::Tensor parts = columns_first(node) ? x.reshape({n, c, b, b, h, w}).permute({0, 1, 4, 2, 5, 3})
                                                 : x.reshape({n, b, b, c, h, w}).permute({0, 3, 4, 1, 5, 2});
    return {parts.reshape({n, c, h * b, w * b})};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    freeze_from(x, 2, c, "moves values along this axis");
    c.set(node.output(0), 0, c.labels(x, 0));
    const Labels in = c.labels(x, 1);
    if (in.empty()) return;
    const auto squares = static_cast<std::size_t>(block_of(node) * block_of(node));
    const std::size_t count = in.size() / squares;
    Labels out(count);
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::size_t o = columns_first(node) ? i / squares : i % count;
      if ((columns_first(node) ? i % squares : i / count) == 0) out[o] = in[i];
      c.tie(out[o], in[i]);
    }
    c.set(node.output(0), 1, out);
  }
};

class SpaceToDepth final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    check_rank(node, x);
    const auto b = block_of(node);
    const auto n = x.size(0);
    const auto c = x.size(1);
    const auto h = x.size(2) / b;
    const auto w = x.size(3) / b;
    const at::Tensor parts = x.reshape({n, c, h, b, w, b});
    const at::Tensor moved =
        columns_first(node) ? parts.permute({0, 1, 3, 5, 2, 4}) : parts.permute({0, 3, 5, 1, 2, 4});
    return {moved.reshape({n, c * b * b, h, w})};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    freeze_from(x, 2, c, "moves values along this axis");
    c.set(node.output(0), 0, c.labels(x, 0));
    const Labels in = c.labels(x, 1);
    const auto squares = static_cast<std::size_t>(block_of(node) * block_of(node));
    Labels out(in.size() * squares);
    for (std::size_t o = 0; o < out.size(); ++o)
      out[o] = in[columns_first(node) ? o / squares : o % in.size()];
    c.set(node.output(0), 1, out);
  }
};

}  // namespace

void make_depth_to_space(OperatorTable& table) {
  table.add("DepthToSpace", std::make_shared<DepthToSpace>());
  table.add("SpaceToDepth", std::make_shared<SpaceToDepth>());
}

}  // namespace quboprune
