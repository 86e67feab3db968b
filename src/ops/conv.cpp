// Conv, in one, two and three dimensions, grouped, depthwise, with a multiplier. A constant or a computed
// kernel. Of a grouped convolution all groups lose the same channels; whole groups only where a group is one
// channel.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> kernel_of(const std::vector<std::int64_t>& weight) {
  return {weight.begin() + 2, weight.end()};
}

class Conv final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& weight = in.at(1);
    if (weight.dim() != in[0].dim() || weight.dim() < 3) {
      throw InputError(node.title() + ": input with " + std::to_string(in[0].dim()) + " axes, weights with " +
                       std::to_string(weight.dim()));
    }
    Window w = window_of(node, in[0].sizes(), kernel_of(weight.sizes().vec()));
    const auto groups = node.integer("group", 1);
    if (groups < 1 || in[0].size(1) != weight.size(1) * groups) {
      throw InputError(node.title() + ": gets " + std::to_string(in[0].size(1)) +
                       " channels, its weights are for " + std::to_string(weight.size(1) * groups) +
                       "; give data with that many channels");
    }
    const at::Tensor x = w.symmetric() ? in[0] : padded(in[0], w, 0);
    const at::Tensor bias = in.size() > 2 ? in[2] : at::Tensor();
    return {at::convolution(x, weight, bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt,
                            w.strides, w.begin, w.dilations, false,
                            std::vector<std::int64_t>(w.kernel.size(), 0), groups)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const int weight = node.input(1);
    const int y = node.output(0);
    const auto groups = node.integer("group", 1);
    freeze_from(x, 2, c, "slides along this axis");
    freeze_from(weight, 2, c, "a kernel's extent");
    c.set(y, 0, c.labels(x, 0));
    const Labels out = c.labels(weight, 0);
    if (groups == 1) {
      c.tie(c.labels(weight, 1), c.labels(x, 1), "reads channels that must stay");
      c.contracts(0, 1);
    } else if (c.shape(weight)[1] == 1) {
      tie_depthwise(c, c.labels(x, 1), out);
    } else {
      tie_groups(c, c.labels(x, 1), c.labels(weight, 1), groups);
      tie_across(c, out, groups);
      c.contracts(0, 1);
    }
    if (node.input(2) >= 0) c.tie(c.labels(node.input(2), 0), out);
    c.set(y, 1, out);
  }

  void slice(const Node& node, Slicing& s) const override {
    const auto groups = node.integer("group", 1);
    if (groups > 1 && s.size_before(node.input(1), 1) == 1 && s.cut(node.input(0), 1)) {
      s.set_attribute("group", Attribute::of(s.size_after(node.input(0), 1)));
    }
  }

  void cost(const Node& node, Coupling& c) const override {
    double positions = 1;
    const auto& y = c.shape(node.output(0));
    for (std::size_t a = 2; a < y.size(); ++a) positions *= static_cast<double>(y[a]);
    for (auto k : kernel_of(c.shape(node.input(1)))) positions *= static_cast<double>(k);
    c.add_macs(positions, {{node.output(0), 0}, {node.input(1), 0}, {node.input(1), 1}});
  }

 private:
  static void tie_depthwise(Coupling& c, const Labels& in, const Labels& out) {
    if (in.empty() || out.empty()) {
      c.freeze(in, "filters channels that must stay");
      c.freeze(out, "filters channels that must stay");
      return;
    }
    const std::size_t multiplier = out.size() / in.size();
    for (std::size_t o = 0; o < out.size(); ++o) c.tie(out[o], in[o / multiplier]);
  }

  static void tie_groups(Coupling& c, const Labels& in, const Labels& weight, std::int64_t groups) {
    if (in.empty() || weight.empty()) {
      c.freeze(in, "reads channels that must stay");
      c.freeze(weight, "reads channels that must stay");
      return;
    }
    check(in.size() == weight.size() * static_cast<std::size_t>(groups), "a grouped convolution's channels");
    for (std::size_t i = 0; i < in.size(); ++i) c.tie(in[i], weight[i % weight.size()]);
  }

  static void tie_across(Coupling& c, const Labels& out, std::int64_t groups) {
    if (out.empty()) return;
    const std::size_t each = out.size() / static_cast<std::size_t>(groups);
    for (std::size_t o = each; o < out.size(); ++o) c.tie(out[o], out[o % each]);
  }
};

}  // namespace

void make_conv(OperatorTable& table) {
  table.add("Conv", std::make_shared<Conv>());
}

}  // namespace quboprune
