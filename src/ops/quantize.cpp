// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and the integer products: they run, and freeze what
// reaches them. Prune the floating-point network and quantise the result. The axis and blocks of scales are
// followed; 32-bit sums are exact in double precision.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "model/element_types.h"
#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr const char* kReason = "quantised: prune the floating-point network and quantise the result";

/// An operator on quantised values.
class Quantized final : public Operator {
 public:
  using Function = Tensors (*)(const Node&, const Tensors&);
  explicit Quantized(Function function) : function_(function) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return function_(node, in);
  }
  void couple(const Node& node, Coupling& c) const override { c.freeze_inputs(node, kReason); }

 private:
  Function function_;
};

/// Scales or zero points, laid along the axis of x: one for all, one an index, or one a block of indices.
at::Tensor along(const Node& node, const at::Tensor& parameter, const at::Tensor& x) {
  const at::Tensor wide = parameter.to(at::kDouble);
  if (wide.numel() == 1) return wide.reshape({});
  const auto axis = positive_axis(node.integer("axis", 1), x.dim(), node);
  const auto block = node.integer("block_size", 0);
  if (block > 0) return wide.repeat_interleave(block, axis).narrow(axis, 0, x.size(axis));
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[static_cast<std::size_t>(axis)] = -1;
  return wide.view(shape);
}

/// The element type that a QuantizeLinear gives; held types alone don't tell the narrow ones apart.
int target_of(const Node& node, const at::Tensor& zero) {
  if (node.has("output_dtype") && node.integer("output_dtype", 0) != 0)
    return static_cast<int>(node.integer("output_dtype", 0));
  return zero.defined() && zero.scalar_type() == at::kChar    ? element::int8
         : zero.defined() && zero.scalar_type() == at::kShort ? element::int16
         : zero.defined() && zero.scalar_type() == at::kInt   ? element::uint16
                                                              : element::uint8;
}

/// Rounded, shifted and clamped to what the type holds.
at::Tensor quantized(const at::Tensor& scaled, const at::Tensor& zero, int type) {
  if (!narrow_values(type).empty()) return cast_to(scaled, type);
  const bool with_sign =
      type == element::int8 || type == element::int16 || type == element::int4 || type == element::int2;
  const double span = static_cast<double>(std::int64_t{1} << bits_of(type));
  const double low = with_sign ? -span / 2 : 0;
  at::Tensor result = at::round(scaled);
  if (zero.defined()) result = result + zero;
  return at::clamp(result, low, low + span - 1).to(*held_type(type));
}

Tensors quantize(const Node& node, const Tensors& in) {
  const at::Tensor zero = given(in, 2);
  const at::Tensor scale = along(node, in.at(1), in[0]);
  // Single precision, as the definition has it: the quotient may lie on a tie there and not in double.
  const at::Tensor scaled = (in[0].to(at::kFloat) / scale.to(at::kFloat)).to(at::kDouble);
  return {quantized(scaled, zero.defined() ? along(node, zero, in[0]) : zero, target_of(node, zero))};
}

Tensors dequantize(const Node& node, const Tensors& in) {
  at::Tensor x = in.at(0).to(at::kDouble);
  const at::Tensor zero = given(in, 2);
  if (zero.defined()) x = x - along(node, zero, in[0]);
  return {(x * along(node, in.at(1), in[0])).to(at::kFloat)};
}

Tensors dynamic_quantize(const Node&, const Tensors& in) {
  const at::Tensor x = in.at(0).to(at::kFloat);
  const at::Tensor none = at::zeros({}, at::kFloat);
  const at::Tensor low = x.numel() == 0 ? none : at::minimum(x.min(), none);
  const at::Tensor high = x.numel() == 0 ? none : at::maximum(x.max(), none);
  const at::Tensor spread = (high - low) / 255;
  const at::Tensor scale =
      at::where(spread == 0, at::ones_like(spread), spread);  // as ONNX Runtime: all zeros
  const at::Tensor zero = at::clamp(at::round((0 - low) / scale), 0, 255);
  return {at::clamp(at::round(x / scale) + zero, 0, 255).to(at::kByte), scale, zero.to(at::kByte)};
}

at::Tensor shifted(const at::Tensor& x, const at::Tensor& zero, bool by_row) {
  const at::Tensor wide = x.to(at::kDouble);
  if (!zero.defined()) return wide;
  if (zero.numel() == 1) return wide - zero.to(at::kDouble).reshape({});
  return wide - (by_row && zero.dim() == 1 ? zero.unsqueeze(-1) : zero).to(at::kDouble);
}

at::Tensor convolved(const Node& node, const at::Tensor& x, const at::Tensor& weight) {
  const auto [wide, w] =
      with_pads(x, window_of(node, x.sizes(), {weight.sizes().begin() + 2, weight.sizes().end()}), 0);
  return at::convolution(wide, weight, {}, w.strides, w.begin, w.dilations, false,
                         std::vector<std::int64_t>(w.kernel.size(), 0), node.integer("group", 1));
}

at::Tensor by_output(const at::Tensor& parameter, std::int64_t rank) {
  if (!parameter.defined() || parameter.numel() == 1) return parameter;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rank), 1);
  shape[0] = -1;
  return parameter.view(shape);
}

Tensors conv_integer(const Node& node, const Tensors& in) {
  const at::Tensor x = shifted(in.at(0), given(in, 2), false);
  const at::Tensor weight = shifted(in.at(1), by_output(given(in, 3), in[1].dim()), false);
  return {convolved(node, x, weight).to(at::kInt)};
}

Tensors matmul_integer(const Node&, const Tensors& in) {
  return {
      at::matmul(shifted(in.at(0), given(in, 2), true), shifted(in.at(1), given(in, 3), false)).to(at::kInt)};
}

int byte_type(const at::Tensor& zero) {
  return zero.scalar_type() == at::kChar ? element::int8 : element::uint8;
}

Tensors qlinear_matmul(const Node&, const Tensors& in) {
  const at::Tensor product =
      at::matmul(shifted(in.at(0), in.at(2), true), shifted(in.at(3), in.at(5), false));
  const at::Tensor rows = in[1].numel() > 1 && in[1].dim() == 1 ? in[1].unsqueeze(-1) : in[1];
  const at::Tensor scale = rows.to(at::kDouble) * in.at(4).to(at::kDouble) / in.at(6).to(at::kDouble);
  return {quantized(product * scale, in.at(7).to(at::kDouble), byte_type(in[7]))};
}

Tensors qlinear_conv(const Node& node, const Tensors& in) {
  const at::Tensor weight = shifted(in.at(3), by_output(in.at(5), in[3].dim()), false);
  at::Tensor y = convolved(node, shifted(in.at(0), in.at(2), false), weight);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(y.dim()), 1);
  shape[1] = -1;
  if (given(in, 8).defined()) y = y + in[8].to(at::kDouble).view(shape);
  at::Tensor scale = in.at(1).to(at::kDouble) * in.at(4).to(at::kDouble) / in.at(6).to(at::kDouble);
  if (scale.numel() > 1) scale = scale.view(shape);
  return {quantized(y * scale, in.at(7).to(at::kDouble), byte_type(in[7]))};
}

}  // namespace

void make_quantize(OperatorTable& table) {
  const auto add = [&](const char* name, Quantized::Function f) {
    table.add(name, std::make_shared<Quantized>(f));
  };
  add("QuantizeLinear", quantize);
  add("DequantizeLinear", dequantize);
  add("DynamicQuantizeLinear", dynamic_quantize);
  add("ConvInteger", conv_integer);
  add("MatMulInteger", matmul_integer);
  add("QLinearMatMul", qlinear_matmul);
  add("QLinearConv", qlinear_conv);
}

}  // namespace quboprune
