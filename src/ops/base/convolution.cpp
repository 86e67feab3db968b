#include "ops/base/convolution.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> per_axis(const Node& node, const char* name, std::size_t n,
                                   std::int64_t otherwise) {
  auto result = node.integers(name, std::vector<std::int64_t>(n, otherwise));
  if (result.size() != n) {
    throw InputError(node.title() + ": " + name + " has " + std::to_string(result.size()) + " entries for " +
                     std::to_string(n) + " spatial axes; export the model again");
  }
  return result;
}

void resolve_auto_pad(Window& w, const std::string& mode, at::IntArrayRef input) {
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    if (mode == "VALID") {
      w.begin[a] = w.end[a] = 0;
      continue;
    }
    const auto size = input[a + 2];
    const auto out = (size + w.strides[a] - 1) / w.strides[a];
    const auto total =
        std::max<std::int64_t>(0, (out - 1) * w.strides[a] + (w.kernel[a] - 1) * w.dilations[a] + 1 - size);
    w.begin[a] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.end[a] = total - w.begin[a];
  }
}

void tie_groups(Coupling& c, const Labels& in, const Labels& weight, std::int64_t groups) {
  if (in.empty() || weight.empty()) {
    c.freeze(in, "reads channels that must stay");
    c.freeze(weight, "reads channels that must stay");
    return;
  }
  check(in.size() == weight.size() * static_cast<std::size_t>(groups), "a grouped convolution's channels");
  for (std::size_t i = 0; i < in.size(); ++i) c.tie(in[i], weight[i % weight.size()]);
}

}  // namespace

bool Grouping::loses_whole_groups(const Coupling& c) const {
  if (in == 1 && out == 1) return true;
  return !c.takes_second_way() && (in == 1 || groups > std::max(in, out));
}

void Grouping::tie_whole(const Labels& inputs, const Labels& outputs, Coupling& c) const {
  if (inputs.empty() || outputs.empty()) {
    c.freeze(inputs, "filters channels that must stay");
    c.freeze(outputs, "filters channels that must stay");
  } else {
    const Labels firsts = tie_runs(inputs, static_cast<std::size_t>(groups), c);
    const std::size_t each = outputs.size() / firsts.size();
    for (std::size_t o = 0; o < outputs.size(); ++o) c.tie(outputs[o], firsts[o / each]);
  }
  if (in > 1 || out > 1) c.took_first_way(outputs);
}

void tie_across(Coupling& c, const Labels& labels, std::int64_t groups) {
  if (labels.empty()) return;
  const std::size_t each = labels.size() / static_cast<std::size_t>(groups);
  if (each == 1 && groups > 1) c.freeze(labels, "a group's only channel");
  for (std::size_t o = each; o < labels.size(); ++o) c.tie(labels[o], labels[o % each]);
}

void couple_convolution(const Node& node, std::size_t bias, Coupling& c) {
  const int x = node.input(0);
  const int weight = node.input(1);
  const int y = node.output(0);
  const auto groups = node.integer("group", 1);
  const Grouping grouping{groups, c.shape(weight)[1], c.shape(weight)[0] / groups};
  freeze_from(x, 2, c, "slides along this axis");
  freeze_from(weight, 2, c, "a kernel's extent");
  c.set(y, 0, c.labels(x, 0));
  const Labels out = c.labels(weight, 0);
  if (groups == 1) {
    c.tie(c.labels(weight, 1), c.labels(x, 1), "reads channels that must stay");
    c.contracts(0, 1);
  } else if (grouping.loses_whole_groups(c)) {
    c.freeze(c.labels(weight, 1), "a group's inputs go together");
    grouping.tie_whole(c.labels(x, 1), out, c);
  } else {
    tie_groups(c, c.labels(x, 1), c.labels(weight, 1), groups);
    tie_across(c, out, groups);
    c.contracts(0, 1);
  }
  if (node.input(bias) >= 0) c.tie(c.labels(node.input(bias), 0), out);
  c.set(y, 1, out);
}

void slice_convolution(const Node& node, Slicing& s) {
  const auto groups = node.integer("group", 1);
  if (groups > 1 && s.cut(node.input(0), 1))
    s.set_attribute("group", Attribute::of(s.size_after(node.input(0), 1) / s.size_after(node.input(1), 1)));
}

void cost_convolution(const Node& node, Coupling& c) {
  double positions = 1;
  for (int v : {node.output(0), node.input(1)}) {
    for (std::size_t a = 2; a < c.shape(v).size(); ++a) positions *= static_cast<double>(c.shape(v)[a]);
  }
  c.add_macs(positions, {{node.output(0), 0}, {node.input(1), 0}, {node.input(1), 1}});
}

Window window_of(const Node& node, at::IntArrayRef input, std::vector<std::int64_t> kernel) {
  const std::size_t n = kernel.size();
  if (input.size() != n + 2) {
    throw InputError(node.title() + ": a kernel with " + std::to_string(n) +
                     " spatial axes for an input with " + std::to_string(input.size()) + " axes");
  }
  Window w;
  w.kernel = std::move(kernel);
  w.strides = per_axis(node, "strides", n, 1);
  w.dilations = per_axis(node, "dilations", n, 1);
  const auto pads = per_axis(node, "pads", 2 * n, 0);
  w.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(n));
  w.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(n), pads.end());
  for (std::size_t a = 0; a < n; ++a) {
    if (w.strides[a] < 1 || w.dilations[a] < 1)
      throw InputError(node.title() + ": strides and dilations must be at least 1");
  }
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (mode != "NOTSET" && !mode.empty()) resolve_auto_pad(w, mode, input);
  return w;
}

Padded with_pads(const at::Tensor& input, const Window& window, double value) {
  std::vector<std::int64_t> pads;  // last axis first, as LibTorch wants them
  for (std::size_t a = window.kernel.size(); a-- > 0;) {
    pads.push_back(window.begin[a]);
    pads.push_back(window.end[a]);
  }
  const bool none = std::all_of(pads.begin(), pads.end(), [](auto p) { return p == 0; });
  Padded result{none ? input : at::constant_pad_nd(input, pads, value), window};
  result.window.begin.assign(window.kernel.size(), 0);
  result.window.end.assign(window.kernel.size(), 0);
  return result;
}

std::vector<std::int64_t> ceil_extra(const Window& w, at::IntArrayRef input) {
  std::vector<std::int64_t> extra;
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    const auto reach = (w.kernel[a] - 1) * w.dilations[a] + 1;
    const auto span = input[a + 2] + w.begin[a] + w.end[a] - reach;
    auto steps = (span + w.strides[a] - 1) / w.strides[a];
    if (steps * w.strides[a] >= input[a + 2] + w.begin[a]) --steps;  // a window must start inside
    extra.push_back(std::max<std::int64_t>(0, steps * w.strides[a] - span));
  }
  return extra;
}

Window pool_window_of(const Node& node, at::IntArrayRef input) {
  Window w = window_of(node, input, node.integers("kernel_shape"));
  if (node.integer("ceil_mode", 0) == 0) return w;
  const auto extra = ceil_extra(w, input);
  for (std::size_t a = 0; a < extra.size(); ++a) w.end[a] += extra[a];
  return w;
}

at::Tensor windows(const at::Tensor& input, const Window& w) {
  at::Tensor result = input;
  const auto n = static_cast<std::int64_t>(w.kernel.size());
  for (std::int64_t a = 0; a < n; ++a) {
    const auto i = static_cast<std::size_t>(a);
    result = result.unfold(a + 2, (w.kernel[i] - 1) * w.dilations[i] + 1, w.strides[i]);
    if (w.dilations[i] > 1) result = result.slice(-1, 0, c10::nullopt, w.dilations[i]);
  }
  return result;
}

at::Tensor over_windows(const at::Tensor& x, const Window& w, bool maximum) {
  std::vector<std::int64_t> inner;
  for (std::int64_t a = 0; a < static_cast<std::int64_t>(w.kernel.size()); ++a) inner.push_back(-1 - a);
  const at::Tensor all = windows(x, w);
  return maximum ? at::amax(all, inner) : at::sum(all, inner);
}

}  // namespace quboprune
