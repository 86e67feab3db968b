#include "ops/base/convolution.h"

#include <ATen/Functions.h>

#include <algorithm>

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

}  // namespace

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

at::Tensor padded(const at::Tensor& input, Window& window, double value) {
  std::vector<std::int64_t> pads;  // last axis first, as LibTorch wants them
  for (std::size_t a = window.kernel.size(); a-- > 0;) {
    pads.push_back(window.begin[a]);
    pads.push_back(window.end[a]);
  }
  std::fill(window.begin.begin(), window.begin.end(), 0);
  std::fill(window.end.begin(), window.end.end(), 0);
  if (std::all_of(pads.begin(), pads.end(), [](auto p) { return p == 0; })) return input;
  return at::constant_pad_nd(input, pads, value);
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
