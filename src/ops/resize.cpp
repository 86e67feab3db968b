// Resize (opset 10 on) and Upsample: nearest, linear, cubic; one axis after the other, each by the
// definition's own coordinates; LibTorch's kernels where they compute the same. Channels must not be resized.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "ops/base/size_list.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

struct Plan {
  std::string mode, coordinates, nearest;
  double cubic = -0.75;
  bool exclude_outside = false, antialias = false;
  double outside = 0;               // tf_crop_and_resize: the value outside of the input
  std::vector<double> from, to;     // tf_crop_and_resize: the region, as parts of each axis
  std::vector<double> scales;       // per axis of the input
  std::vector<std::int64_t> sizes;  // of the output
};

std::vector<double> to_reals(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  const auto* data = static_cast<const double*>(wide.data_ptr());
  return {data, data + wide.numel()};
}

/// The axes that scales and sizes are for: all, unless opset 18's attribute names them.
std::vector<std::int64_t> axes_of(const Node& node, std::int64_t rank) {
  auto axes = node.integers("axes");
  if (axes.empty()) {
    for (std::int64_t a = 0; a < rank; ++a) axes.push_back(a);
  }
  for (auto& a : axes) a = positive_axis(a, rank, node);
  return axes;
}

void set_scales(Plan& plan, const std::vector<double>& scales, const std::vector<std::int64_t>& axes,
                at::IntArrayRef in, const Node& node) {
  if (scales.size() != axes.size())
    throw InputError(node.title() + ": " + std::to_string(scales.size()) + " scales for " +
                     std::to_string(axes.size()) + " axes");
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto a = static_cast<std::size_t>(axes[k]);
    plan.scales[a] = scales[k];
    // In float32 as ONNX Runtime and PyTorch have it: 10 · 0.7f is 7 there, and a hair less in double.
    const float part = static_cast<float>(plan.to[a] - plan.from[a]);
    const float size = static_cast<float>(in[a]) * part * static_cast<float>(scales[k]);
    if (!(size >= 0 && size < 1e9F)) throw InputError(node.title() + ": a scale that isn't usable");
    plan.sizes[a] = static_cast<std::int64_t>(std::floor(size));
  }
}

void set_sizes(Plan& plan, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& axes,
               at::IntArrayRef in, const Node& node) {
  if (sizes.size() != axes.size())
    throw InputError(node.title() + ": " + std::to_string(sizes.size()) + " sizes for " +
                     std::to_string(axes.size()) + " axes");
  const std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
  double common = policy == "not_larger" ? INFINITY : 0;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto a = static_cast<std::size_t>(axes[k]);
    if (sizes[k] < 0 || sizes[k] > (1 << 24)) throw InputError(node.title() + ": a size that isn't usable");
    plan.sizes[a] = sizes[k];
    plan.scales[a] = static_cast<double>(sizes[k]) / static_cast<double>(in[a]);
    common = policy == "not_larger" ? std::min(common, plan.scales[a]) : std::max(common, plan.scales[a]);
  }
  if (policy == "stretch") return;
  for (auto axis : axes) {
    const auto a = static_cast<std::size_t>(axis);
    plan.scales[a] = common;
    plan.sizes[a] = static_cast<std::int64_t>(std::floor(static_cast<double>(in[a]) * common + 0.5));
  }
}

/// The region of tf_crop_and_resize: all starts, then all ends.
void set_region(Plan& plan, const Tensors& in, const std::vector<std::int64_t>& axes) {
  const std::size_t rank = plan.sizes.size();
  plan.from.assign(rank, 0);
  plan.to.assign(rank, 1);
  if (plan.coordinates != "tf_crop_and_resize" || in.size() < 2 || !in[1].defined()) return;
  const auto region = to_reals(in[1]);
  for (std::size_t k = 0; k < axes.size() && region.size() == 2 * axes.size(); ++k) {
    plan.from[static_cast<std::size_t>(axes[k])] = region[k];
    plan.to[static_cast<std::size_t>(axes[k])] = region[k + axes.size()];
  }
}

Plan plan_of(const Node& node, const Tensors& in) {
  Plan plan;
  const bool upsample = node.op == "Upsample";
  const bool old = upsample || node.version < 11;
  plan.mode = node.text("mode", "nearest");
  plan.coordinates = old ? "asymmetric" : node.text("coordinate_transformation_mode", "half_pixel");
  plan.nearest = old ? "simple" : node.text("nearest_mode", "round_prefer_floor");
  plan.cubic = node.real("cubic_coeff_a", -0.75);
  plan.exclude_outside = node.integer("exclude_outside", 0) != 0;
  if (plan.mode == "bilinear") plan.mode = "linear";
  plan.antialias = node.integer("antialias", 0) != 0;
  plan.outside = node.real("extrapolation_value", 0);
  const auto shape = in.at(0).sizes();
  plan.scales.assign(shape.size(), 1.0);
  plan.sizes.assign(shape.begin(), shape.end());
  const auto axes = axes_of(node, in[0].dim());
  const std::size_t scales_at = old ? 1 : 2;
  const bool by_size = given(in, 3).defined() && in[3].numel() > 0;
  set_region(plan, in, axes);
  if (by_size) {
    set_sizes(plan, to_integers(in[3]), axes, shape, node);
  } else if (node.has("scales")) {
    set_scales(plan, node.reals("scales"), axes, shape, node);
  } else if (given(in, scales_at).defined()) {
    set_scales(plan, to_reals(in[scales_at]), axes, shape, node);
  } else {
    throw InputError(node.title() + ": neither scales nor sizes; export the model again");
  }
  require_usable(node, plan.sizes);
  return plan;
}

/// Where output index o lies on the input's axis. The nearest neighbour is rounded from float32, as in ONNX
/// Runtime: what lies between two of them in theory depends on it.
template <typename Real>
Real coordinate(const Plan& plan, std::size_t axis, std::int64_t o, std::int64_t in) {
  constexpr Real kHalf = 0.5;
  const auto out = static_cast<Real>(plan.sizes[axis]), size = static_cast<Real>(in);
  const auto scale = static_cast<Real>(plan.scales[axis]);
  const auto x = static_cast<Real>(o), last = size - 1;
  if (plan.coordinates == "asymmetric") return x / scale;
  if (plan.coordinates == "align_corners") return out == 1 ? 0 : x * last / (out - 1);
  if (plan.coordinates == "pytorch_half_pixel" && out == 1) return 0;
  if (plan.coordinates == "tf_half_pixel_for_nn") return (x + kHalf) / scale;
  if (plan.coordinates == "tf_crop_and_resize") {
    const auto from = static_cast<Real>(plan.from[axis]), to = static_cast<Real>(plan.to[axis]);
    return out == 1 ? kHalf * (from + to) * last : from * last + x * (to - from) * last / (out - 1);
  }
  const Real half = (x + kHalf) / scale - kHalf;
  if (plan.coordinates == "half_pixel_symmetric") return size / 2 * (1 - out / (scale * size)) + half;
  return half;
}

/// "simple": what ONNX Runtime does before opset 11, which had no rule.
std::int64_t nearest_index(const Plan& plan, std::size_t axis, float x, std::int64_t in) {
  float at = std::floor(x);
  if (plan.nearest == "ceil" || (plan.nearest == "simple" && plan.scales[axis] < 1)) at = std::ceil(x);
  if (plan.nearest == "round_prefer_floor") at = std::ceil(x - 0.5F);
  if (plan.nearest == "round_prefer_ceil") at = std::floor(x + 0.5F);
  return std::clamp(static_cast<std::int64_t>(at), std::int64_t{0}, in - 1);
}

double cubic_weight(double distance, double a) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return a * (((d - 5) * d + 8) * d - 4);
  return 0;
}

/// Weights of each input index for each output index: [out, in]. Antialiasing stretches the filter where the
/// axis gets shorter.
at::Tensor weights(const Plan& plan, std::size_t axis, std::int64_t in) {
  const auto out = plan.sizes[axis];
  at::Tensor result = at::zeros({out, in}, at::kDouble);
  auto w = result.accessor<double, 2>();
  const double stretch = plan.antialias ? std::min(1.0, plan.scales[axis]) : 1.0;
  const auto reach = static_cast<std::int64_t>(std::ceil((plan.mode == "cubic" ? 2 : 1) / stretch));
  for (std::int64_t o = 0; o < out; ++o) {
    const double x = coordinate<double>(plan, axis, o, in);
    const auto low = static_cast<std::int64_t>(std::floor(x));
    double total = 0;
    for (std::int64_t i = low - reach + 1; i <= low + reach; ++i) {
      const double d = (x - static_cast<double>(i)) * stretch;
      double value = plan.mode == "cubic" ? cubic_weight(d, plan.cubic) : std::max(0.0, 1 - std::abs(d));
      if (plan.exclude_outside && (i < 0 || i >= in)) value = 0;
      total += value;
      w[o][std::clamp(i, std::int64_t{0}, in - 1)] += value;
    }
    for (std::int64_t i = 0; i < in && (plan.exclude_outside || plan.antialias) && total != 0; ++i)
      w[o][i] /= total;
  }
  return result;
}

/// Fills what lies outside of the input, for tf_crop_and_resize.
at::Tensor with_outside(const at::Tensor& y, const Plan& plan, std::int64_t axis, std::int64_t in) {
  if (plan.coordinates != "tf_crop_and_resize") return y;
  const auto a = static_cast<std::size_t>(axis);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(y.dim()), 1);
  shape[a] = plan.sizes[a];
  at::Tensor outside = at::zeros(shape, at::kBool);
  for (std::int64_t o = 0; o < plan.sizes[a]; ++o) {
    const double x = coordinate<double>(plan, a, o, in);
    if (x < 0 || x > static_cast<double>(in - 1)) outside.select(axis, o).fill_(true);
  }
  return at::where(outside.to(y.device()), at::full_like(y, plan.outside), y);
}

at::Tensor resize_axis(const at::Tensor& x, const Plan& plan, std::int64_t axis) {
  const auto in = x.size(axis);
  const auto a = static_cast<std::size_t>(axis);
  if (plan.mode == "nearest") {
    std::vector<std::int64_t> from;
    for (std::int64_t o = 0; o < plan.sizes[a]; ++o)
      from.push_back(nearest_index(plan, a, coordinate<float>(plan, a, o, in), in));
    return with_outside(x.index_select(axis, integer_tensor(from).to(x.device())), plan, axis, in);
  }
  const at::Tensor w = weights(plan, a, in).to(x.options());
  return with_outside(at::matmul(x.movedim(axis, -1), w.t()).movedim(-1, axis), plan, axis, in);
}

/// LibTorch's kernel, where it computes the same as the definition: the usual upsampling of images.
at::Tensor by_kernel(const at::Tensor& x, const Plan& plan) {
  if (x.dim() != 4 || plan.sizes[0] != x.size(0) || plan.sizes[1] != x.size(1) || plan.exclude_outside ||
      plan.antialias)
    return {};
  const std::vector<std::int64_t> size{plan.sizes[2], plan.sizes[3]};
  if (plan.mode == "linear" && size[0] > 1 && size[1] > 1) {
    if (plan.coordinates == "half_pixel" || plan.coordinates == "pytorch_half_pixel") {
      return at::upsample_bilinear2d(x, size, false, plan.scales[2], plan.scales[3]);
    }
    if (plan.coordinates == "align_corners") return at::upsample_bilinear2d(x, size, true);
  }
  const bool whole =
      plan.scales[2] == std::floor(plan.scales[2]) && plan.scales[3] == std::floor(plan.scales[3]);
  // With whole factors all coordinate rules but align_corners pick the same neighbour.
  const bool plain =
      plan.coordinates == "asymmetric" && (plan.nearest == "floor" || plan.nearest == "simple");
  if (plan.mode == "nearest" && whole && plain)
    return at::upsample_nearest2d(x, size, plan.scales[2], plan.scales[3]);
  return {};
}

class Resize final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const Plan plan = plan_of(node, in);
    if (const at::Tensor fast = by_kernel(in[0], plan); fast.defined()) return {fast};
    at::Tensor result = in[0];
    for (std::int64_t a = 0; a < in[0].dim(); ++a) {
      if (plan.sizes[static_cast<std::size_t>(a)] != in[0].size(a) ||
          plan.scales[static_cast<std::size_t>(a)] != 1.0 || plan.from[static_cast<std::size_t>(a)] != 0 ||
          plan.to[static_cast<std::size_t>(a)] != 1)
        result = resize_axis(result, plan, a);
    }
    return {result};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const int y = node.output(0);
    for (int a = 0; a < c.rank(x); ++a) {
      const auto at = static_cast<std::size_t>(a);
      const Labels here = c.labels(x, a);
      if (a > 1 || c.shape(x)[at] != c.shape(y)[at]) {
        c.freeze(here, "resizes this axis");
      } else {
        c.set(y, a, here);
      }
    }
    if (const auto list = size_list(node, c)) tie_readers(node, *list, c);
  }

  /// Sizes that are fixed name the channels too. Those that aren't follow by themselves: the walk over sizes
  /// (coupling/size_flow) has frozen the channels otherwise.
  void slice(const Node& node, Slicing& s) const override {
    if (const auto list = size_list(node, s.coupling())) {
      restate_list(node, *list, s);
      return;
    }
    if (node.input(3) < 0 || !s.cut(node.input(0), 1)) return;
    const at::Tensor known = s.coupling().known(node.input(3));
    const auto axes = axes_of(node, s.rank(node.input(0)));
    const auto channels = std::ranges::find(axes, 1);
    if (!known.defined() || known.numel() != static_cast<std::int64_t>(axes.size()) || channels == axes.end())
      return;
    auto sizes = to_integers(known);
    sizes[static_cast<std::size_t>(channels - axes.begin())] = s.size_after(node.input(0), 1);
    s.replace_input(3, integer_tensor(sizes));
  }
};

}  // namespace

void make_resize(OperatorTable& table) {
  table.add("Resize", std::make_shared<Resize>());
  table.add("Upsample", std::make_shared<Resize>());
}

}  // namespace quboprune
