#include "recover/refit_linear.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/index.h"
#include "ops/base/convolution.h"
#include "ops/base/layers.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

bool is_weight(const Graph& graph, int value) {
  return value >= 0 && graph.values[at_index(value)].is_constant() &&
         at::isFloatingType(graph.values[at_index(value)].constant.scalar_type());
}

/// A floating-point constant that nothing else reads, with one entry an output.
bool holds_offsets(const Graph& graph, int value, std::int64_t outputs) {
  return is_weight(graph, value) && graph.values[at_index(value)].constant.numel() == outputs &&
         graph.uses(value) == 1;
}

/// Does a constant's shape, broadcast against the outputs, run along their channels? `back`: the channels'
/// axis, counted from the end.
bool runs_along(const at::Tensor& constant, std::int64_t back, std::int64_t outputs) {
  return constant.dim() >= back && constant.size(constant.dim() - back) == outputs;
}

/// The batch norm's means or the constant added behind a node that has no bias of its own.
BiasPlace place_behind(const Graph& graph, const Node& node, std::int64_t outputs, std::int64_t back) {
  const int y = node.output(0);
  if (graph.uses(y) != 1) return {};
  for (const auto& next : graph.nodes) {
    if (std::find(next.inputs.begin(), next.inputs.end(), y) == next.inputs.end()) continue;
    if (next.op == "BatchNormalization" && next.input(0) == y && holds_offsets(graph, next.input(3), outputs))
      return {next.input(3), -1};
    if (next.op != "Add") continue;
    const int other = next.input(0) == y ? next.input(1) : next.input(0);
    if (holds_offsets(graph, other, outputs) &&
        runs_along(graph.values[at_index(other)].constant, back, outputs))
      return {other, 1};
  }
  return {};
}

bool is_depthwise(const Graph& graph, const Node& node) {
  const Constant& weight = graph.values[at_index(node.input(1))].constant;
  const auto groups = node.integer("group", 1);
  return groups > 1 && (node.op == "Conv" ? weight.size(1) == 1 : weight.size(0) == groups);
}

}  // namespace

std::optional<LinearLayer> LinearLayer::of(const Graph& graph, const Graph& original, int node,
                                           std::string& why_not) {
  const Node& description = graph.nodes[at_index(node)];
  if (!is_layer(description)) return std::nullopt;
  LinearLayer layer;
  layer.description_ = description;
  layer.node_ = node;
  const bool convolution = description.op == "Conv" || description.op == "ConvTranspose";
  const bool known =
      convolution ? layer.read_convolution(graph, original, why_not) : layer.read_product(graph, why_not);
  if (!known) return std::nullopt;
  layer.data_value_ = description.input(at_index(layer.data_));
  if (graph.uses(layer.weight_value_) != 1) {
    why_not = "its weights are shared with another node";
    return std::nullopt;
  }
  return layer;
}

bool LinearLayer::read_convolution(const Graph& graph, const Graph& original, std::string& why_not) {
  const Node& node = description_;
  weight_value_ = node.input(1);
  if (!is_weight(graph, weight_value_)) {
    why_not = "its weights are computed";
    return false;
  }
  const Constant& weight = graph.values[at_index(weight_value_)].constant;
  const bool forward = node.op == "Conv";
  groups_ = node.integer("group", 1);
  kernel_.assign(weight.sizes().begin() + 2, weight.sizes().end());
  const auto outputs = forward ? weight.size(0) : weight.size(1) * groups_;
  const auto inputs = forward ? weight.size(1) : weight.size(0) / groups_;
  kind_ = forward ? Kind::convolution : Kind::transposed;
  columns_ = inputs * taps();
  if (is_depthwise(original, original.nodes[at_index(node_)])) {
    kind_ = Kind::scale;
    groups_ = outputs;
    columns_ = 1;
  }
  if (holds_offsets(graph, node.input(2), outputs)) {
    bias_ = {node.input(2), 1};
  } else if (node.input(2) < 0) {
    bias_ = place_behind(graph, node, outputs, static_cast<std::int64_t>(kernel_.size()) + 1);
  }
  return true;
}

bool LinearLayer::read_product(const Graph& graph, std::string& why_not) {
  const Node& node = description_;
  data_ = is_weight(graph, node.input(1)) ? 0 : 1;
  weight_value_ = node.input(at_index(1 - data_));
  if (!is_weight(graph, weight_value_) || is_weight(graph, node.input(at_index(data_)))) {
    why_not = "its weights are computed";
    return false;
  }
  const Constant& weight = graph.values[at_index(weight_value_)].constant;
  if (weight.dim() != 2) {
    why_not = "its weights aren't one matrix";
    return false;
  }
  kind_ = Kind::product;
  transposed_data_ = data_ == 1;
  const bool turns_data = node.integer(data_ == 0 ? "transA" : "transB", 0) != 0;
  const bool turns_weight = node.integer(data_ == 0 ? "transB" : "transA", 0) != 0;
  turned_data_ = turns_data != (data_ == 1);
  transposed_weight_ = data_ == 0 ? !turns_weight : turns_weight;
  alpha_ = node.op == "Gemm" ? node.real("alpha", 1) : 1;
  if (alpha_ == 0) {
    why_not = "its product is multiplied by 0";
    return false;
  }
  columns_ = weight.size(transposed_weight_ ? 0 : 1);
  const auto outputs = weight.size(transposed_weight_ ? 1 : 0);
  const std::int64_t back = transposed_data_ ? 2 : 1;
  const double beta = node.real("beta", 1);
  if (node.op == "Gemm" && node.input(2) >= 0) {
    if (beta != 0 && holds_offsets(graph, node.input(2), outputs) &&
        runs_along(graph.values[at_index(node.input(2))].constant, back, outputs))
      bias_ = {node.input(2), 1 / beta};
  } else {
    bias_ = place_behind(graph, node, outputs, back);
  }
  return true;
}

int LinearLayer::taps() const {
  std::int64_t count = 1;
  for (auto k : kernel_) count *= k;
  return static_cast<int>(count);
}

at::Tensor LinearLayer::matrix(const at::Tensor& constant) const {
  const at::Tensor w = constant.to(at::kDouble);
  switch (kind_) {
    case Kind::convolution:
      return w.reshape({groups_, w.size(0) / groups_, columns_});
    case Kind::transposed:
      return w.reshape({groups_, w.size(0) / groups_, w.size(1), taps()})
          .permute({0, 2, 1, 3})
          .reshape({groups_, w.size(1), columns_});
    case Kind::scale:
      return at::ones({groups_, 1, 1}, at::kDouble);
    case Kind::product:
      return (transposed_weight_ ? w.t() : w).unsqueeze(0) * alpha_;
  }
  throw InternalError("a layer of no kind");
}

at::Tensor LinearLayer::changed(const at::Tensor& constant, const at::Tensor& delta) const {
  const at::Tensor w = constant.to(at::kDouble);
  at::Tensor result;
  switch (kind_) {
    case Kind::convolution:
      result = w + delta.reshape(w.sizes());
      break;
    case Kind::transposed:
      result = w + delta.reshape({groups_, w.size(1), w.size(0) / groups_, taps()})
                       .permute({0, 2, 1, 3})
                       .reshape(w.sizes());
      break;
    case Kind::scale: {
      // One factor an output channel; of a transposed one with a multiplier outputs lie on axes 0 and 1.
      std::vector<std::int64_t> shape(at_index(w.dim()), 1);
      shape[0] = w.size(0);
      shape[1] = groups_ / w.size(0);
      result = w * (1 + delta.reshape(shape));
      break;
    }
    case Kind::product: {
      const at::Tensor d = delta[0] / alpha_;
      result = w + (transposed_weight_ ? d.t() : d);
      break;
    }
  }
  return result.to(constant.scalar_type()).contiguous();
}

at::Tensor LinearLayer::changed_bias(const at::Tensor& constant, const at::Tensor& offset) const {
  return (constant.to(at::kDouble) + (offset * bias_.factor).reshape(constant.sizes()))
      .to(constant.scalar_type())
      .contiguous();
}

at::Tensor LinearLayer::flat(const at::Tensor& outputs) const {
  const at::Tensor last = convolves() || transposed_data_ ? outputs.movedim(channel_axis(), -1) : outputs;
  return last.reshape({-1, last.size(-1)});
}

at::Tensor LinearLayer::by_group(const at::Tensor& flat) const {
  return flat.reshape({flat.size(0), groups_, flat.size(1) / groups_}).permute({1, 0, 2});
}

at::Tensor LinearLayer::rows(const at::Tensor& data, at::IntArrayRef outputs,
                             const at::Tensor& positions) const {
  check(kind_ != Kind::scale, "a scale has no rows of its own");
  if (kind_ == Kind::product) return product_rows(data).index_select(0, positions).unsqueeze(0);
  return window_rows(data, outputs, positions);
}

at::Tensor LinearLayer::product_rows(const at::Tensor& data) const {
  const at::Tensor last = turned_data_ ? data.transpose(-1, -2) : data;
  return last.reshape({-1, last.size(-1)});
}

namespace {

/// Begin pads of a transposed convolution, where output_shape or auto_pad gives them by the outputs' size.
void resolve_begin(const Node& node, Window& w, at::IntArrayRef data, at::IntArrayRef outputs) {
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (!node.has("output_shape") && mode != "SAME_UPPER" && mode != "SAME_LOWER") return;
  const auto extra = node.integers("output_padding", std::vector<std::int64_t>(w.kernel.size(), 0));
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    const auto full = w.strides[a] * (data[a + 2] - 1) + extra[a] + (w.kernel[a] - 1) * w.dilations[a] + 1;
    const auto total = std::max<std::int64_t>(0, full - outputs[a + 2]);
    w.begin[a] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
  }
}

/// What output positions read of the input, tap by tap.
struct Reads {
  at::Tensor index;  ///< into the input's flat positions; 0 where outside
  at::Tensor inside;
};

Reads reads_of_tap(const Window& w, bool transposed, at::IntArrayRef data, const at::Tensor& sample,
                   const std::vector<at::Tensor>& coordinates, std::int64_t tap) {
  at::Tensor index = sample;
  at::Tensor inside = at::ones_like(sample, at::kBool);
  std::vector<std::int64_t> k(w.kernel.size());
  for (std::size_t a = w.kernel.size(); a-- > 0; tap /= w.kernel[a]) k[a] = tap % w.kernel[a];
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    at::Tensor at_axis;
    if (transposed) {
      const at::Tensor scaled = coordinates[a] + (w.begin[a] - k[a] * w.dilations[a]);
      at_axis = at::div(scaled, w.strides[a], "floor");
      inside = inside.logical_and(at_axis * w.strides[a] == scaled);
    } else {
      at_axis = coordinates[a] * w.strides[a] + (k[a] * w.dilations[a] - w.begin[a]);
    }
    inside = inside.logical_and(at_axis >= 0).logical_and(at_axis < data[a + 2]);
    index = index * data[a + 2] + at_axis;
  }
  return {at::where(inside, index, at::zeros_like(index)), inside};
}

}  // namespace

at::Tensor LinearLayer::window_rows(const at::Tensor& data, at::IntArrayRef outputs,
                                    const at::Tensor& positions) const {
  const bool transposed = kind_ == Kind::transposed;
  Window w = window_of(description_, data.sizes(), kernel_);
  if (transposed) resolve_begin(description_, w, data.sizes(), outputs);
  std::vector<at::Tensor> coordinates(kernel_.size());
  at::Tensor rest = positions;
  for (std::size_t a = kernel_.size(); a-- > 0;) {
    coordinates[a] = at::remainder(rest, outputs[a + 2]);
    rest = at::div(rest, outputs[a + 2], "floor");
  }
  const at::Tensor pixels = data.movedim(1, -1).reshape({-1, data.size(1)});
  const auto n = positions.numel();
  at::Tensor result = at::empty({n, data.size(1), taps()}, data.options());
  for (std::int64_t tap = 0; tap < taps(); ++tap) {
    const Reads reads = reads_of_tap(w, transposed, data.sizes(), rest, coordinates, tap);
    result.select(2, tap).copy_(pixels.index_select(0, reads.index) *
                                reads.inside.to(data.scalar_type()).unsqueeze(1));
  }
  return result.view({n, groups_, columns_}).permute({1, 0, 2});
}

}  // namespace quboprune
