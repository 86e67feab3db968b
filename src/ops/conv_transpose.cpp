// ConvTranspose, in one, two and three dimensions, grouped, depthwise with multiplier; pads, output_padding,
// output_shape, auto_pad.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> kernel_of(at::IntArrayRef weight) {
  return {weight.begin() + 2, weight.end()};
}

/// Pads from the wanted output size, where output_shape or auto_pad gives one.
void resolve_output(const Node& node, Window& w, at::IntArrayRef input,
                    const std::vector<std::int64_t>& extra) {
  const std::string mode = node.text("auto_pad", "NOTSET");
  auto wanted = node.integers("output_shape");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (wanted.empty() && !same) return;
  const std::size_t n = w.kernel.size();
  if (wanted.size() == n + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && wanted.size() != n)
    throw InputError(node.title() + ": output_shape has another number of axes; export the model again");
  for (std::size_t a = 0; a < n; ++a) {
    const auto full = w.strides[a] * (input[a + 2] - 1) + extra[a] + (w.kernel[a] - 1) * w.dilations[a] + 1;
    const auto size = wanted.empty() ? input[a + 2] * w.strides[a] : wanted[a];
    const auto total = full - size;
    if (total < 0 && wanted.empty()) {
      w.begin[a] = w.end[a] = 0;
      continue;
    }
    // An odd one out is cut off at the front, unless SAME_UPPER says otherwise; rows that are missing are
    // added at the end.
    w.begin[a] = mode == "SAME_UPPER" || total < 0 ? total / 2 : total - total / 2;
    w.end[a] = total - w.begin[a];
  }
}

/// The whole transposed convolution, cut (or, for the extra rows, filled with zeros) to the wanted extent.
at::Tensor cropped(const at::Tensor& full, const Window& w, const std::vector<std::int64_t>& extra) {
  std::vector<std::int64_t> pads;  // last axis first
  for (std::size_t a = w.kernel.size(); a-- > 0;) {
    pads.push_back(-w.begin[a]);
    pads.push_back(extra[a] - w.end[a]);
  }
  return at::constant_pad_nd(full, pads, 0);
}

bool all_ones(const std::vector<std::int64_t>& values) {
  return std::all_of(values.begin(), values.end(), [](auto v) { return v == 1; });
}

/// With stride 1 it is a convolution with the kernel turned round, for which LibTorch has its best code.
at::Tensor as_convolution(const at::Tensor& x, const at::Tensor& weight, const Tensors& in, const Window& w,
                          const std::vector<std::int64_t>& extra) {
  Window turned = w;
  std::vector<std::int64_t> spatial;
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    const auto reach = w.dilations[a] * (w.kernel[a] - 1);
    turned.begin[a] = reach - w.begin[a];
    turned.end[a] = reach - w.end[a] + extra[a];
    spatial.push_back(static_cast<std::int64_t>(a) + 2);
  }
  const bool plain = turned.symmetric() && turned.begin.front() >= 0 && turned.begin.back() >= 0;
  const Padded input = plain ? Padded{x, turned} : with_pads(x, turned, 0);
  const bool has_bias = given(in, 2).defined();
  return at::convolution(input.input, weight.transpose(0, 1).flip(spatial),
                         has_bias ? c10::optional<at::Tensor>(in[2]) : c10::nullopt, w.strides,
                         input.window.begin, w.dilations, false,
                         std::vector<std::int64_t>(w.kernel.size(), 0), 1);
}

class ConvTranspose final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto& weight = in.at(1);
    const auto groups = node.integer("group", 1);
    if (weight.dim() != x.dim() || weight.dim() < 3 || x.size(1) != weight.size(0) || groups < 1 ||
        weight.size(0) % groups != 0) {
      throw InputError(node.title() + ": gets " + std::to_string(x.dim() > 1 ? x.size(1) : 0) +
                       " channels, its weights are for " + std::to_string(weight.size(0)) +
                       "; give data with that many channels");
    }
    Window w = window_of(node, x.sizes(), kernel_of(weight.sizes()));
    const auto extra = node.integers("output_padding", std::vector<std::int64_t>(w.kernel.size(), 0));
    if (extra.size() != w.kernel.size())
      throw InputError(node.title() + ": output_padding has another number of axes; export the model again");
    resolve_output(node, w, x.sizes(), extra);
    const bool has_bias = given(in, 2).defined();
    const std::vector<std::int64_t> none(w.kernel.size(), 0);
    bool direct = w.symmetric();
    for (std::size_t a = 0; a < extra.size(); ++a)
      direct = direct && extra[a] < w.strides[a] && extra[a] >= 0 && w.begin[a] >= 0;
    if (groups == 1 && direct && all_ones(w.strides)) return {as_convolution(x, weight, in, w, extra)};
    if (direct) {
      return {at::convolution(x, weight, has_bias ? c10::optional<at::Tensor>(in[2]) : c10::nullopt,
                              w.strides, w.begin, w.dilations, true, extra, groups)};
    }
    at::Tensor y =
        cropped(at::convolution(x, weight, {}, w.strides, none, w.dilations, true, none, groups), w, extra);
    if (!has_bias) return {y};
    std::vector<std::int64_t> shape(static_cast<std::size_t>(y.dim()), 1);
    shape[1] = -1;
    return {y + in[2].view(shape)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const int weight = node.input(1);
    const int y = node.output(0);
    const auto groups = node.integer("group", 1);
    const Grouping grouping{groups, c.shape(weight)[0] / groups, c.shape(weight)[1]};
    freeze_from(x, 2, c, "slides along this axis");
    freeze_from(weight, 2, c, "a kernel's extent");
    c.set(y, 0, c.labels(x, 0));
    const Labels in = c.labels(x, 1);
    const Labels rows = c.labels(weight, 0);
    c.tie(rows, in, "reads channels that must stay");
    Labels out;
    if (groups > 1 && grouping.loses_whole_groups(c)) {
      c.freeze(c.labels(weight, 1), "a group's outputs go together");
      out = c.fresh_labels(static_cast<std::size_t>(groups * grouping.out));
      grouping.tie_whole(rows, out, c);
    } else {
      tie_across(c, rows, groups);
      out = couple_outputs(weight, y, grouping, c);
      c.contracts(0, 1);
    }
    if (node.input(2) >= 0) c.tie(c.labels(node.input(2), 0), out);
    c.set(y, 1, out);
  }

  void slice(const Node& node, Slicing& s) const override {
    const auto groups = node.integer("group", 1);
    if (groups > 1 && s.cut(node.output(0), 1)) {
      s.set_attribute("group",
                      Attribute::of(s.size_after(node.output(0), 1) / s.size_after(node.input(1), 1)));
    }
  }

  void cost(const Node& node, Coupling& c) const override {
    const auto& x = c.shape(node.input(0));
    double positions = 1;
    for (std::size_t a = 2; a < x.size(); ++a) positions *= static_cast<double>(x[a]);
    for (auto k : kernel_of(c.shape(node.input(1)))) positions *= static_cast<double>(k);
    c.add_macs(positions, {{node.input(0), 0}, {node.input(1), 0}, {node.input(1), 1}});
  }

 private:
  /// Every group loses the same outputs. A group's only output stays: its weights' axis has no labels.
  static Labels couple_outputs(int weight, int y, const Grouping& grouping, Coupling& c) {
    const Labels columns = c.labels(weight, 1);
    if (columns.empty())
      return grouping.groups == 1
                 ? Labels()
                 : c.frozen_labels(static_cast<std::size_t>(c.shape(y)[1]), "a group's only channel");
    Labels out;
    for (std::int64_t g = 0; g < grouping.groups; ++g) out.insert(out.end(), columns.begin(), columns.end());
    return out;
  }
};

}  // namespace

void make_conv_transpose(OperatorTable& table) {
  table.add("ConvTranspose", std::make_shared<ConvTranspose>());
}

}  // namespace quboprune
