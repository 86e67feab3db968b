// GatherElements, GatherND, ScatterElements, ScatterND, Compress, OneHot, Trilu, MaxUnpool, CenterCropPad:
// values taken from or put at computed places. All that reaches them is frozen.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// An operator that only runs.
class Runs final : public Operator {
 public:
  using Function = at::Tensor (*)(const Node&, const Tensors&);
  explicit Runs(Function function) : function_(function) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {function_(node, in)};
  }

 private:
  Function function_;
};

at::Tensor gather_elements(const Node& node, const Tensors& in) {
  const auto axis = positive_axis(node.integer("axis", 0), in.at(0).dim(), node);
  return in[0].gather(axis, positive_indices(node, in.at(1), in[0].size(axis)));
}

at::Tensor scatter_elements(const Node& node, const Tensors& in) {
  const auto axis = positive_axis(node.integer("axis", 0), in.at(0).dim(), node);
  const at::Tensor index = positive_indices(node, in.at(1), in[0].size(axis));
  const std::string kind = node.text("reduction", "none");
  if (kind == "none") return in[0].scatter(axis, index, in.at(2));
  const std::string name = kind == "add" ? "sum" : kind == "mul" ? "prod" : "a" + kind;
  return in[0].scatter_reduce(axis, index, in.at(2), name, true);
}

/// Rows of the last axis of `indices` name places in the first axes of a tensor: LibTorch's indexing by
/// lists.
c10::List<c10::optional<at::Tensor>> index_lists(const Node& node, const at::Tensor& x,
                                                 const at::Tensor& indices) {
  c10::List<c10::optional<at::Tensor>> lists;
  if (indices.dim() == 0 || indices.size(-1) > x.dim())
    throw InputError(node.title() + ": indices with more entries than there are axes");
  for (std::int64_t k = 0; k < indices.size(-1); ++k)
    lists.push_back(positive_indices(node, indices.select(-1, k), x.size(k)));
  return lists;
}

at::Tensor gather_nd(const Node& node, const Tensors& in) {
  const auto batch = node.integer("batch_dims", 0);
  if (batch == 0) return at::index(in.at(0), index_lists(node, in[0], in.at(1)));
  const at::Tensor x = in.at(0).flatten(0, batch - 1);
  const at::Tensor index = in.at(1).flatten(0, batch - 1);
  std::vector<at::Tensor> parts;
  for (std::int64_t b = 0; b < x.size(0); ++b)
    parts.push_back(at::index(x[b], index_lists(node, x[b], index[b])));
  at::Tensor all = at::stack(parts);
  std::vector<std::int64_t> shape(in[0].sizes().begin(), in[0].sizes().begin() + batch);
  shape.insert(shape.end(), all.sizes().begin() + 1, all.sizes().end());
  return all.reshape(shape);
}

at::Tensor scatter_nd(const Node& node, const Tensors& in) {
  const auto lists = index_lists(node, in.at(0), in.at(1));
  const std::string kind = node.text("reduction", "none");
  if (kind == "none") return at::index_put(in[0], lists, in.at(2), false);
  if (kind == "add") return at::index_put(in[0], lists, in.at(2), true);
  // Each place is met on its own: places may repeat.
  at::Tensor result = in[0].clone();
  const auto depth = in[1].size(-1);
  const at::Tensor rows = in[1].reshape({-1, depth}).to(at::kLong);
  std::vector<std::int64_t> inner(result.sizes().begin() + depth, result.sizes().end());
  inner.insert(inner.begin(), rows.size(0));
  const at::Tensor updates = in.at(2).reshape(inner);
  for (std::int64_t r = 0; r < rows.size(0); ++r) {
    at::Tensor place = result;
    for (std::int64_t k = 0; k < depth; ++k) place = place.select(0, rows[r][k].item<std::int64_t>());
    const at::Tensor now = kind == "mul"   ? place * updates[r]
                           : kind == "max" ? at::maximum(place, updates[r])
                                           : at::minimum(place, updates[r]);
    place.copy_(now);
  }
  return result;
}

at::Tensor compress(const Node& node, const Tensors& in) {
  const bool flat = !node.has("axis");
  const at::Tensor x = flat ? in.at(0).reshape(-1) : in.at(0);
  const auto axis = flat ? 0 : positive_axis(node.integer("axis", 0), x.dim(), node);
  return x.index_select(axis, at::nonzero(in.at(1)).view(-1));
}

at::Tensor one_hot(const Node& node, const Tensors& in) {
  const auto depth = to_integers(in.at(1)).at(0);
  if (depth < 0 || depth > (1 << 24)) throw InputError(node.title() + ": a depth that isn't usable");
  const at::Tensor index = at::remainder(in.at(0).to(at::kLong), depth);
  const at::Tensor inside =
      at::logical_and(in[0].to(at::kDouble) >= -depth, in[0].to(at::kDouble) < depth).unsqueeze(-1);
  const at::Tensor hot = at::logical_and(at::eq(index.unsqueeze(-1), at::arange(depth, at::kLong)), inside);
  const auto axis = positive_axis(node.integer("axis", -1), in[0].dim() + 1, node);
  return at::where(hot, in.at(2)[1], in[2][0]).movedim(-1, axis);
}

at::Tensor trilu(const Node& node, const Tensors& in) {
  const auto k = given(in, 1).defined() ? to_integers(in[1]).at(0) : 0;
  return node.integer("upper", 1) != 0 ? at::triu(in.at(0), k) : at::tril(in.at(0), k);
}

at::Tensor max_unpool(const Node& node, const Tensors& in) {
  const auto& x = in.at(0);
  std::vector<std::int64_t> shape = x.sizes().vec();
  const auto kernel = node.integers("kernel_shape");
  const Window w = window_of(node, x.sizes(), kernel);
  for (std::size_t a = 0; a < kernel.size(); ++a)
    shape[a + 2] = (shape[a + 2] - 1) * w.strides[a] + kernel[a] - w.begin[a] - w.end[a];
  std::vector<std::int64_t> wanted = shape;
  if (given(in, 2).defined()) wanted = to_integers(in[2]);
  // Indices count in the output that the attributes give; a wanted one is filled from its corner.
  std::int64_t count = 1;
  for (auto d : shape) count *= d;
  const at::Tensor flat = at::zeros({count}, x.options())
                              .scatter(0, positive_indices(node, in.at(1), count).reshape(-1), x.reshape(-1));
  at::Tensor result = flat.view(shape);
  std::vector<std::int64_t> pads;
  for (std::size_t a = shape.size(); a-- > 0;) {
    pads.push_back(0);
    pads.push_back(wanted.at(a) - shape[a]);
  }
  return at::constant_pad_nd(result, pads, 0);
}

at::Tensor center_crop_pad(const Node& node, const Tensors& in) {
  at::Tensor x = in.at(0);
  const auto sizes = to_integers(in.at(1));
  auto axes = node.integers("axes");
  for (std::int64_t a = 0; axes.size() < sizes.size(); ++a) axes.push_back(a);
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const auto axis = positive_axis(axes[k], x.dim(), node);
    const auto missing = sizes[k] - x.size(axis);
    if (missing <= 0) {
      x = x.narrow(axis, -missing / 2, sizes[k]);
      continue;
    }
    std::vector<std::int64_t> pads(static_cast<std::size_t>(2 * x.dim()), 0);
    const auto at = static_cast<std::size_t>(2 * (x.dim() - 1 - axis));
    pads[at] = missing / 2;
    pads[at + 1] = missing - missing / 2;
    x = at::constant_pad_nd(x, pads, 0);
  }
  return x;
}

}  // namespace

void make_scatter(OperatorTable& table) {
  const auto add = [&](const char* name, Runs::Function f) { table.add(name, std::make_shared<Runs>(f)); };
  add("GatherElements", gather_elements);
  add("GatherND", gather_nd);
  add("ScatterElements", scatter_elements);
  add("ScatterND", scatter_nd);
  add("Compress", compress);
  add("OneHot", one_hot);
  add("Trilu", trilu);
  add("MaxUnpool", max_unpool);
  add("CenterCropPad", center_crop_pad);
}

}  // namespace quboprune
