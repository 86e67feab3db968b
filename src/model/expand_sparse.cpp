#include "model/expand_sparse.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "model/element_types.h"
#include "model/tensor_proto.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 31;

[[noreturn]] void fail(const std::string& name) {
  throw InputError("sparse tensor '" + name + "': its places don't fit its shape; export the model again");
}

/// A tensor of no external data, without its proto's lifetime.
at::Tensor read(const onnx::TensorProto& proto) {
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) return {};
  DataFiles none({}, 0);
  return constant_from(proto, nullptr, none).tensor();
}

/// Places as numbers into the flat tensor: [values], or [values, rank] with one coordinate an axis.
at::Tensor flat_places(const at::Tensor& indices, const std::vector<std::int64_t>& shape,
                       const std::string& name) {
  if (indices.dim() == 1) return indices;
  if (indices.dim() != 2 || indices.size(1) != static_cast<std::int64_t>(shape.size())) fail(name);
  at::Tensor flat = at::zeros({indices.size(0)}, at::kLong);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const at::Tensor along = indices.select(1, static_cast<std::int64_t>(axis));
    if (along.numel() > 0 &&
        (along.min().item<std::int64_t>() < 0 || along.max().item<std::int64_t>() >= shape[axis]))
      fail(name);
    flat = flat * shape[axis] + along;
  }
  return flat;
}

/// Nothing for what can't be written out.
bool expand(const onnx::SparseTensorProto& sparse, onnx::TensorProto& plain) {
  const std::string& name = sparse.values().name();
  const at::Tensor values = is_widened(sparse.values().data_type()) ? at::Tensor() : read(sparse.values());
  const at::Tensor indices = read(sparse.indices());
  if (!values.defined() || !indices.defined()) return false;
  std::int64_t count = 1;
  std::vector<std::int64_t> shape;
  for (auto d : sparse.dims()) {
    if (d < 0 || (d > 0 && count > kMostElements / d)) fail(name);
    shape.push_back(d);
    count *= d;
  }
  if (indices.scalar_type() != at::kLong) fail(name);
  const at::Tensor places = flat_places(indices, shape, name);
  if (values.dim() != 1 || places.numel() != values.numel()) fail(name);
  if (places.numel() > 0 &&
      (places.min().item<std::int64_t>() < 0 || places.max().item<std::int64_t>() >= count))
    fail(name);
  plain.set_name(name);
  plain.set_doc_string(sparse.values().doc_string());
  write_tensor(plain, at::zeros({count}, values.scalar_type()).scatter(0, places, values).view(shape));
  return true;
}

}  // namespace

void expand_sparse(onnx::ModelProto& model) {
  auto& graph = *model.mutable_graph();
  for (int i = graph.sparse_initializer_size() - 1; i >= 0; --i) {
    onnx::TensorProto plain;
    if (!expand(graph.sparse_initializer(i), plain)) continue;
    *graph.add_initializer() = std::move(plain);
    graph.mutable_sparse_initializer()->DeleteSubrange(i, 1);
  }
  for (auto& node : *graph.mutable_node()) {
    if (node.op_type() != "Constant" || node.attribute_size() != 1 || !node.attribute(0).has_sparse_tensor())
      continue;
    onnx::TensorProto plain;
    if (!expand(node.attribute(0).sparse_tensor(), plain)) continue;
    auto& attribute = *node.mutable_attribute(0);
    attribute.Clear();
    attribute.set_name("value");
    attribute.set_type(onnx::AttributeProto::TENSOR);
    *attribute.mutable_t() = std::move(plain);
  }
}

}  // namespace quboprune
