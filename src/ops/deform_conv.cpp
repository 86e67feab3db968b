// DeformConv in two dimensions: a convolution each of whose points reads at a place of its own, between
// pixels, weighted by a mask. Offsets and mask stay whole; the groups of channels that share offsets lose the
// same channels.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

enum Input : std::size_t { kX, kWeight, kOffset, kBias, kMask };

/// 0, 1, ... times a step, less what is padded.
at::Tensor places(std::int64_t count, std::int64_t step, std::int64_t begin, const at::Tensor& like) {
  return at::arange(count, like.options()) * step - begin;
}

class DeformConv final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const at::Tensor& x = in.at(kX);
    const at::Tensor& weight = in.at(kWeight);
    const at::Tensor& offset = in.at(kOffset);
    if (x.dim() != 4 || weight.dim() != 4 || offset.dim() != 4)
      throw InputError(node.title() + ": is run in two dimensions only");
    const Window w = window_of(node, x.sizes(), weight.sizes().slice(2).vec());
    const auto groups = node.integer("group", 1);
    const auto shared = node.integer("offset_group", 1);
    const auto points = w.kernel[0] * w.kernel[1];
    if (groups < 1 || shared < 1 || x.size(1) != weight.size(1) * groups || x.size(1) % shared != 0 ||
        offset.size(1) != 2 * shared * points)
      throw InputError(node.title() + ": input, weights and offsets don't fit one another");
    const at::Tensor mask = in.size() > kMask ? in[kMask] : at::Tensor();
    Tensors read;  // of each group of offsets: [n, channels, points, rows, columns]
    const auto each = x.size(1) / shared;
    for (std::int64_t g = 0; g < shared; ++g) {
      Tensors here;
      const at::Tensor pixels = x.narrow(1, g * each, each).flatten(2);
      for (std::int64_t k = 0; k < points; ++k)
        here.push_back(read_at(x, pixels, offset, mask, w, g * points + k, k));
      read.push_back(at::stack(here, 2));
    }
    const at::Tensor columns = at::cat(read, 1).flatten(1, 2);
    const at::Tensor bias = in.size() > kBias ? in[kBias] : at::Tensor();
    return {at::convolution(columns, weight.flatten(1).unsqueeze(-1).unsqueeze(-1),
                            bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt, {1, 1}, {0, 0},
                            {1, 1}, false, {0, 0}, groups)};
  }

  void couple(const Node& node, Coupling& c) const override {
    c.freeze_value(node.input(kOffset), "a place to read at");
    if (node.input(kMask) >= 0) c.freeze_value(node.input(kMask), "weighs what is read");
    c.freeze(c.labels(node.input(kX), 0), "reads at places of their own");
    tie_across(c, c.labels(node.input(kX), 1), node.integer("offset_group", 1));
    couple_convolution(node, kBias, c);
  }
  void slice(const Node& node, Slicing& s) const override { slice_convolution(node, s); }
  void cost(const Node& node, Coupling& c) const override { cost_convolution(node, c); }

 private:
  /// What the kernel's k-th point reads of some channels' pixels [n, channels, all] with the given offset;
  /// pixels outside of x are 0.
  static at::Tensor read_at(const at::Tensor& x, const at::Tensor& pixels, const at::Tensor& offset,
                            const at::Tensor& mask, const Window& w, std::int64_t which, std::int64_t k) {
    const auto rows = offset.size(2), columns = offset.size(3);
    const at::Tensor y = places(rows, w.strides[0], w.begin[0], x).view({1, rows, 1}) +
                         k / w.kernel[1] * w.dilations[0] + offset.select(1, 2 * which);
    const at::Tensor z = places(columns, w.strides[1], w.begin[1], x).view({1, 1, columns}) +
                         k % w.kernel[1] * w.dilations[1] + offset.select(1, 2 * which + 1);
    at::Tensor read;  // of four pixels, weighted by their nearness: exact at whole places
    for (const int corner : {0, 1, 2, 3}) {
      const at::Tensor row = y.floor() + corner / 2, column = z.floor() + corner % 2;
      const at::Tensor inside = row.ge(0)
                                    .logical_and(row.lt(x.size(2)))
                                    .logical_and(column.ge(0))
                                    .logical_and(column.lt(x.size(3)));
      const at::Tensor near = (1 - (y - row).abs()) * (1 - (z - column).abs()) * inside;
      const at::Tensor at_pixel = row.clamp(0, x.size(2) - 1) * x.size(3) + column.clamp(0, x.size(3) - 1);
      const at::Tensor index =
          at_pixel.to(at::kLong).flatten(1).unsqueeze(1).expand({-1, pixels.size(1), -1});
      const at::Tensor part = pixels.gather(2, index).view({x.size(0), pixels.size(1), rows, columns});
      read = read.defined() ? read + part * near.unsqueeze(1) : part * near.unsqueeze(1);
    }
    return mask.defined() ? read * mask.narrow(1, which, 1) : read;
  }
};

}  // namespace

void make_deform_conv(OperatorTable& table) {
  table.add("DeformConv", std::make_shared<DeformConv>());
}

}  // namespace quboprune
