#include "model/expand_sparse.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quboprune/error.h"

namespace quboprune {
namespace {

/// One sparse initialiser of 2x3 with values 5 and 7 at the places.
onnx::ModelProto sparse(const std::vector<std::int64_t>& places,
                        const std::vector<std::int64_t>& shape_of_places) {
  onnx::ModelProto model;
  auto& sparse = *model.mutable_graph()->add_sparse_initializer();
  auto& values = *sparse.mutable_values();
  values.set_name("w");
  values.set_data_type(onnx::TensorProto::FLOAT);
  values.add_dims(2);
  values.add_float_data(5);
  values.add_float_data(7);
  auto& indices = *sparse.mutable_indices();
  indices.set_data_type(onnx::TensorProto::INT64);
  for (auto d : shape_of_places) indices.add_dims(d);
  for (auto p : places) indices.add_int64_data(p);
  sparse.add_dims(2);
  sparse.add_dims(3);
  return model;
}

std::vector<float> numbers(const onnx::TensorProto& tensor) {
  std::vector<float> result(tensor.raw_data().size() / sizeof(float));
  std::memcpy(result.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return result;
}

TEST(ExpandSparse, WritesInitialisersOut) {
  for (auto model : {sparse({1, 5}, {2}), sparse({0, 1, 1, 2}, {2, 2})}) {
    expand_sparse(model);
    EXPECT_EQ(model.graph().sparse_initializer_size(), 0);
    ASSERT_EQ(model.graph().initializer_size(), 1);
    const auto& plain = model.graph().initializer(0);
    EXPECT_EQ(plain.name(), "w");
    EXPECT_EQ(plain.dims(1), 3);
    EXPECT_EQ(numbers(plain), (std::vector<float>{0, 5, 0, 0, 0, 7}));
  }
}

TEST(ExpandSparse, WritesConstantsOut) {
  onnx::ModelProto model = sparse({1, 5}, {2});
  auto& node = *model.mutable_graph()->add_node();
  node.set_op_type("Constant");
  auto& attribute = *node.add_attribute();
  attribute.set_name("sparse_value");
  attribute.set_type(onnx::AttributeProto::SPARSE_TENSOR);
  *attribute.mutable_sparse_tensor() = model.graph().sparse_initializer(0);
  expand_sparse(model);
  ASSERT_EQ(node.attribute_size(), 1);
  EXPECT_EQ(node.attribute(0).name(), "value");
  EXPECT_EQ(numbers(node.attribute(0).t()), (std::vector<float>{0, 5, 0, 0, 0, 7}));
}

TEST(ExpandSparse, RefusesPlacesOutside) {
  for (auto model : {sparse({1, 6}, {2}), sparse({-1, 2}, {2}), sparse({0, 3, 1, 2}, {2, 2}),
                     sparse({1}, {1}), sparse({0, 1, 1, 2, 0, 0}, {2, 3})}) {
    EXPECT_THROW(expand_sparse(model), InputError);
  }
}

}  // namespace
}  // namespace quboprune
