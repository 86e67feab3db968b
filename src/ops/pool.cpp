// MaxPool, AveragePool and the global pools: every channel for itself. A MaxPool whose indices are read keeps
// its channels, since the indices count through them.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>

#include "ops/base/blocked_kernels.h"
#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Where each channel of each sample starts in the flattened input.
at::Tensor channel_offsets(const at::Tensor& x, std::int64_t spatial) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(spatial + 2), 1);
  shape[0] = x.size(0);
  shape[1] = x.size(1);
  const auto each = x.numel() / std::max<std::int64_t>(1, x.size(0) * x.size(1));
  return at::arange(x.size(0) * x.size(1), at::kLong).view(shape) * each;
}

/// The flat index, within its own channel of the unpadded input, of each window's largest element.
at::Tensor largest_at(const at::Tensor& x, const Window& w, bool columns_first) {
  const auto n = static_cast<std::int64_t>(w.kernel.size());
  std::vector<std::int64_t> spatial(x.sizes().begin() + 2, x.sizes().end());
  at::Tensor index = at::zeros(spatial, at::kLong);
  std::int64_t stride = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t a = columns_first ? k : n - 1 - k;
    const auto size = spatial[static_cast<std::size_t>(a)];
    std::vector<std::int64_t> shape(spatial.size(), 1);
    shape[static_cast<std::size_t>(a)] = size;
    index = index + at::arange(size, at::kLong).view(shape) * stride;
    stride *= size;
  }
  std::vector<std::int64_t> whole = spatial;
  whole.insert(whole.begin(), {1, 1});
  const auto over = [n](const Padded& p) { return windows(p.input, p.window).flatten(2 + n); };
  const at::Tensor flat_index = over(with_pads(index.view(whole), w, 0));
  const at::Tensor values = over(with_pads(x.to(at::kDouble), w, -std::numeric_limits<double>::infinity()));
  const at::Tensor best = values.argmax(-1, true);
  std::vector<std::int64_t> shape = best.sizes().vec();
  shape.back() = flat_index.size(-1);
  return flat_index.expand(shape).gather(-1, best).squeeze(-1) + channel_offsets(x, n);
}

class MaxPool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const Window w = pool_window_of(node, in.at(0).sizes());
    if (node.output(1) >= 0) {
      const Padded all = with_pads(in[0], w, -std::numeric_limits<double>::infinity());
      return {over_windows(all.input, all.window, true),
              largest_at(in[0], w, node.integer("storage_order", 0) != 0)};
    }
    if (mode.fast != nullptr) {
      if (auto result = mode.fast->max_pool(in[0], w)) return {*result};
    }
    if (w.kernel.size() == 2 && w.symmetric() && w.pads_at_most_half() &&
        at::isFloatingType(in[0].scalar_type()))
      return {at::max_pool2d(in[0], w.kernel, w.strides, w.begin, w.dilations, false)};
    const auto type = in[0].scalar_type();
    const double lowest = type == at::kByte   ? 0
                          : type == at::kChar ? -128.0
                                              : -std::numeric_limits<double>::infinity();
    const Padded x = with_pads(in[0], w, lowest);
    return {over_windows(x.input, x.window, true)};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    couple_channels(node, coupling);
    // Indices count through all channels: they would change.
    if (node.output(1) >= 0) coupling.freeze_value(node.input(0), "gives indices across channels");
  }
};

class AveragePool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const Window w = window_of(node, in.at(0).sizes(), node.integers("kernel_shape"));
    const bool ceil = node.integer("ceil_mode", 0) != 0;
    const bool count_pad = node.integer("count_include_pad", 0) != 0;
    const bool plain = !ceil && w.symmetric() &&
                       std::all_of(w.dilations.begin(), w.dilations.end(), [](auto d) { return d == 1; });
    if (plain && w.pads_at_most_half() && w.kernel.size() == 2)
      return {at::avg_pool2d(in[0], w.kernel, w.strides, w.begin, false, count_pad)};
    return {by_windows(in[0], w, ceil, count_pad)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }

 private:
  /// Sum over each window, divided by how many of its elements count.
  static at::Tensor by_windows(const at::Tensor& x, const Window& w, bool ceil, bool count_pad) {
    const auto extra = ceil ? ceil_extra(w, x.sizes()) : std::vector<std::int64_t>(w.kernel.size(), 0);
    const auto sums = [&](const at::Tensor& values, double pad) {
      Padded inner = with_pads(values, w, pad);
      inner.window.end = extra;  // beyond the padding: never counted
      const Padded whole = with_pads(inner.input, inner.window, 0);
      return over_windows(whole.input, whole.window, false);
    };
    return sums(x, 0) / sums(at::ones_like(x.slice(0, 0, 1).slice(1, 0, 1)), count_pad ? 1 : 0);
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
