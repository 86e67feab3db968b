// MaxPool, AveragePool and the global pools: every channel for itself. The indices output of MaxPool is
// refused.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Elements added at the end of each axis so that the last window of ceil_mode is whole.
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

/// All windows of the input, which is padded already: [N, C, out..., kernel...], a view.
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

class MaxPool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    if (node.outputs.size() > 1 && node.outputs[1] >= 0)
      throw InputError(node.title() + ": its indices output isn't supported");
    Window w = window_of(node, in.at(0).sizes(), node.integers("kernel_shape"));
    if (node.integer("ceil_mode", 0) != 0) {
      const auto extra = ceil_extra(w, in[0].sizes());
      for (std::size_t a = 0; a < extra.size(); ++a) w.end[a] += extra[a];
    }
    const bool half = w.symmetric() && std::equal(w.begin.begin(), w.begin.end(), w.kernel.begin(),
                                                  [](auto p, auto k) { return 2 * p <= k; });
    if (w.kernel.size() == 2 && half)
      return {at::max_pool2d(in[0], w.kernel, w.strides, w.begin, w.dilations, false)};
    const bool whole = at::isIntegralType(in[0].scalar_type(), true);
    const at::Tensor x = padded(in[0], w,
                                whole ? static_cast<double>(std::numeric_limits<std::int8_t>::lowest())
                                      : -std::numeric_limits<double>::infinity());
    return {over_windows(x, w, true)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }
};

class AveragePool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    Window w = window_of(node, in.at(0).sizes(), node.integers("kernel_shape"));
    const bool ceil = node.integer("ceil_mode", 0) != 0;
    const bool count_pad = node.integer("count_include_pad", 0) != 0;
    const bool plain = !ceil && w.symmetric() &&
                       std::all_of(w.dilations.begin(), w.dilations.end(), [](auto d) { return d == 1; });
    const bool half = std::equal(w.begin.begin(), w.begin.end(), w.kernel.begin(),
                                 [](auto p, auto k) { return 2 * p <= k; });
    if (plain && half && w.kernel.size() == 2)
      return {at::avg_pool2d(in[0], w.kernel, w.strides, w.begin, false, count_pad)};
    return {by_windows(in[0], w, ceil, count_pad)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }

 private:
  /// Sum over each window, divided by how many of its elements count.
  static at::Tensor by_windows(const at::Tensor& x, const Window& given, bool ceil, bool count_pad) {
    Window extra = given;
    extra.begin.assign(given.kernel.size(), 0);
    extra.end = ceil ? ceil_extra(given, x.sizes()) : std::vector<std::int64_t>(given.kernel.size(), 0);
    Window pads = given;
    Window pads_again = given;
    Window extra_again = extra;
    at::Tensor ones = at::ones_like(x.slice(0, 0, 1).slice(1, 0, 1));
    ones = padded(padded(ones, pads, count_pad ? 1 : 0), extra, 0);
    const at::Tensor values = padded(padded(x, pads_again, 0), extra_again, 0);
    return over_windows(values, given, false) / over_windows(ones, given, false);
  }
};

/// One value for each channel.
class GlobalPool final : public Operator {
 public:
  explicit GlobalPool(bool maximum) : maximum_(maximum) {}
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    std::vector<std::int64_t> axes;
    for (std::int64_t a = 2; a < in.at(0).dim(); ++a) axes.push_back(a);
    if (axes.empty()) return {in[0]};
    return {maximum_ ? at::amax(in[0], axes, true) : at::mean(in[0], axes, true)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }

 private:
  bool maximum_;
};

}  // namespace

void make_pool(OperatorTable& table) {
  table.add("MaxPool", std::make_shared<MaxPool>());
  table.add("AveragePool", std::make_shared<AveragePool>());
  table.add("GlobalAveragePool", std::make_shared<GlobalPool>(false));
  table.add("GlobalMaxPool", std::make_shared<GlobalPool>(true));
}

}  // namespace quboprune
