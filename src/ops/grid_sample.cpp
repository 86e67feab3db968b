// GridSample in two and three dimensions: samples of each channel at computed places. Three-dimensional cubic
// sampling is refused.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class GridSample final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const std::string mode = node.text("mode", "linear");
    const std::string padding = node.text("padding_mode", "zeros");
    const bool corners = node.integer("align_corners", 0) != 0;
    const bool cubic = mode == "cubic" || mode == "bicubic";
    const std::int64_t kind = cubic ? 2 : mode == "nearest" ? 1 : 0;
    const std::int64_t border = padding == "reflection" ? 2 : padding == "border" ? 1 : 0;
    if (in.at(0).dim() == 4) return {at::grid_sampler_2d(in[0], in.at(1), kind, border, corners)};
    if (in[0].dim() == 5 && !cubic) return {at::grid_sampler_3d(in[0], in.at(1), kind, border, corners)};
    throw InputError(node.title() + ": " + mode + " sampling of a value with " + std::to_string(in[0].dim()) +
                     " axes isn't supported");
  }

  void couple(const Node& node, Coupling& c) const override {
    couple_channels(node, c);
    c.freeze_value(node.input(1), "a place to sample at");
    c.freeze(c.labels(node.input(0), 0), "samples at places of their own");
  }
};

}  // namespace

void make_grid_sample(OperatorTable& table) {
  table.add("GridSample", std::make_shared<GridSample>());
}

}  // namespace quboprune
