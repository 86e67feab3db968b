#include "model/stored_file.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/model.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

constexpr int kInt4 = 22;

class StoredFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    auto& graph = *proto_.mutable_graph();
    proto_.set_ir_version(10);
    proto_.add_opset_import()->set_version(21);
    for (const char* name : {"large", "small", "odd", "listed"}) {
      auto& tensor = *graph.add_initializer();
      tensor.set_name(name);
      tensor.set_data_type(1);
      tensor.add_dims(64);
      tensor.add_dims(64);
    }
    std::string bytes(64 * 64 * 4, '\0');
    std::iota(bytes.begin(), bytes.end(), '\1');
    graph.mutable_initializer(0)->set_raw_data(bytes);
    graph.mutable_initializer(1)->set_raw_data(bytes.substr(0, 64));
    graph.mutable_initializer(1)->set_dims(0, 4);
    graph.mutable_initializer(1)->set_dims(1, 4);
    graph.mutable_initializer(2)->set_data_type(kInt4);
    graph.mutable_initializer(2)->set_dims(0, 256);
    graph.mutable_initializer(2)->set_raw_data(bytes.substr(0, 256 * 64 / 2));
    for (int i = 0; i < 64 * 64; ++i) graph.mutable_initializer(3)->add_float_data(static_cast<float>(i));
    for (const char* name : {"large", "small", "odd", "listed"}) graph.add_output()->set_name(name);
    write(proto_.SerializeAsString());
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& bytes) const { write_file_atomically(path_, bytes); }

  fs::path folder_ =
      fs::temp_directory_path() /
      ("stored_file_test_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
  fs::path path_ = folder_ / "net.onnx";
  onnx::ModelProto proto_;
};

TEST_F(StoredFileTest, GivesTheConstantsOfAFileReadWhole) {
  const Graph whole = Model::load(path_).graph();
  const Graph thin = Model::load(path_, {.in_memory = 0}).graph();
  ASSERT_EQ(whole.values.size(), thin.values.size());
  for (std::size_t v = 0; v < whole.values.size(); ++v) {
    EXPECT_EQ(thin.values[v].constant.in_file(), whole.values[v].name == "large") << whole.values[v].name;
    EXPECT_FALSE(whole.values[v].constant.in_file());
    // As bytes: some of the numbers are NaN.
    const at::Tensor a = whole.values[v].constant;
    const at::Tensor b = thin.values[v].constant;
    ASSERT_EQ(a.sizes(), b.sizes());
    ASSERT_EQ(a.scalar_type(), b.scalar_type());
    EXPECT_EQ(std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()), 0) << whole.values[v].name;
  }
}

TEST_F(StoredFileTest, WritesWhatItRead) {
  const Model model = Model::load(path_, {.in_memory = 0});
  onnx::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(model.serialized(model.graph())));
  EXPECT_EQ(written.SerializeAsString(), proto_.SerializeAsString());
}

TEST_F(StoredFileTest, WritesChangedConstants) {
  const Model model = Model::load(path_, {.in_memory = 0});
  Graph changed = model.graph();
  changed.values[0].constant = changed.values[0].constant.tensor().narrow(1, 3, 5);
  onnx::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(model.serialized(changed)));
  const auto& tensor = written.graph().initializer(0);
  EXPECT_EQ(tensor.dims(1), 5);
  const std::string& before = proto_.graph().initializer(0).raw_data();
  ASSERT_EQ(tensor.raw_data().size(), 64U * 5 * 4);
  EXPECT_EQ(tensor.raw_data().substr(20, 20), before.substr((64 + 3) * 4, 20));
  for (int i = 1; i < 4; ++i)
    EXPECT_EQ(written.graph().initializer(i).SerializeAsString(),
              proto_.graph().initializer(i).SerializeAsString());
}

/// A message's field that holds bytes.
std::string field(int number, const std::string& bytes) {
  std::string result(1, static_cast<char>(number << 3 | 2));
  std::size_t size = bytes.size();
  for (; size > 127; size >>= 7) result += static_cast<char>((size & 127) | 128);
  return result + static_cast<char>(size) + bytes;
}

TEST_F(StoredFileTest, OfADataFieldThatComesTwiceTheLastCounts) {
  const std::string large = proto_.graph().initializer(0).raw_data();
  const std::string small = large.substr(0, 256);
  for (const bool small_last : {false, true}) {
    onnx::TensorProto tensor = proto_.graph().initializer(0);
    tensor.set_dims(0, small_last ? 1 : 64);
    tensor.set_raw_data(small_last ? large : small);
    onnx::GraphProto graph;
    graph.add_output()->set_name("large");
    const std::string twice = tensor.SerializeAsString() + field(9, small_last ? small : large);
    write(field(7, graph.SerializeAsString() + field(5, twice)));
    const at::Tensor whole = Model::load(path_).graph().values[0].constant;
    const Constant thin = Model::load(path_, {.in_memory = 0}).graph().values[0].constant;
    EXPECT_EQ(thin.in_file(), !small_last);
    EXPECT_EQ(std::memcmp(whole.data_ptr(), thin.tensor().data_ptr(), whole.nbytes()), 0);
  }
}

TEST_F(StoredFileTest, FileCutShortBeforeOrWhileItIsReadIsRefused) {
  const Model model = Model::load(path_, {.in_memory = 0});
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << "short";
  EXPECT_THROW(model.serialized(model.graph()), InputError);
  for (std::size_t size : {std::size_t{40}, std::size_t{5000}, proto_.ByteSizeLong() - 1}) {
    write(proto_.SerializeAsString().substr(0, size));
    EXPECT_THROW(Model::load(path_, {.in_memory = 0}), InputError) << size;
  }
}

}  // namespace
}  // namespace quboprune
