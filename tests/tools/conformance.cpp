// conformance [--network] DIR...: runs official ONNX node cases. Each DIR holds model.onnx and
// test_data_set_<k>/ with input_<i>.pb and output_<i>.pb. Prints one line of JSON a case: {"case", "result",
// "reason"}.
//
// Tolerance: |got - wanted| <= 1e-7 + 1e-3 · |wanted|, the official runner's own; for half-precision outputs
// 1e-2 relative, since we compute in single precision and the reference in half. With --network the cases are
// whole networks: |got - wanted| <= 1e-4 · the largest output, taken as 0.01 at least (1e-2 where outputs or
// weights are of half precision).

#include <ATen/Functions.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "model/tensor_proto.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/model.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

at::Tensor read_tensor(const fs::path& path) {
  auto proto = std::make_shared<onnx::TensorProto>();
  std::ifstream file(path, std::ios::binary);
  if (!proto->ParseFromIstream(&file)) throw InputError(path.string() + ": not a tensor");
  DataFiles none({}, 0);
  at::Tensor tensor = constant_from(*proto, proto, none);
  if (!tensor.defined())
    throw InputError("holds a type that LibTorch doesn't have (" +
                     onnx::TensorProto::DataType_Name(proto->data_type()) + ")");
  return tensor;
}

std::vector<at::Tensor> read_all(const fs::path& folder, const std::string& kind) {
  std::vector<at::Tensor> result;
  for (int k = 0; fs::exists(folder / (kind + "_" + std::to_string(k) + ".pb")); ++k)
    result.push_back(read_tensor(folder / (kind + "_" + std::to_string(k) + ".pb")));
  return result;
}

bool is_half(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16;
}

/// Empty if equal, otherwise what differs.
std::string difference(const at::Tensor& got, const at::Tensor& wanted, bool network, bool half_inside) {
  if (!got.defined()) return "an output isn't given";
  if (got.sizes() != wanted.sizes()) return "shape differs";
  const bool half = is_half(wanted.scalar_type());
  const bool narrow = half && got.scalar_type() == at::kFloat;
  if (!narrow && got.scalar_type() != wanted.scalar_type()) return "type differs";
  if (wanted.numel() == 0) return "";
  if (network) {  // many layers: sums in another order add up, relative to the whole output
    const double allowed = (half || half_inside ? 1e-2 : 1e-4) *
                           std::max(1e-2, wanted.to(at::kDouble).abs().max().item<double>());
    const double off = at::sub(got.to(at::kDouble), wanted.to(at::kDouble)).abs().max().item<double>();
    return off <= allowed ? "" : "differs by " + std::to_string(off);
  }
  const double relative = half ? 1e-2 : 1e-3;
  const at::Tensor a = got.to(at::kDouble);
  const at::Tensor b = wanted.to(at::kDouble);
  if (!at::allclose(a, b, relative, half ? 1e-3 : 1e-7, true)) return "values differ";
  return "";
}

std::string run_case(const fs::path& folder, bool network) {
  const Model model = Model::load(folder / "model.onnx");
  const Executor executor(model.graph());
  const auto& values = model.graph().values;
  const bool half_inside = std::any_of(values.begin(), values.end(), [](const Value& v) {
    return v.constant.defined() && is_half(v.constant.scalar_type());
  });
  for (int set = 0; fs::exists(folder / ("test_data_set_" + std::to_string(set))); ++set) {
    const fs::path data = folder / ("test_data_set_" + std::to_string(set));
    const auto got = executor.run(read_all(data, "input"));
    const auto wanted = read_all(data, "output");
    if (got.size() != wanted.size()) return "another number of outputs";
    for (std::size_t k = 0; k < got.size(); ++k) {
      const std::string text = difference(got[k], wanted[k], network, half_inside);
      if (!text.empty()) return "output " + std::to_string(k) + ": " + text;
    }
  }
  return "";
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  const bool network = argc > 1 && std::string(argv[1]) == "--network";
  for (int k = network ? 2 : 1; k < argc; ++k) {
    std::string reason;
    try {
      reason = quboprune::run_case(argv[k], network);
    } catch (const std::exception& e) {
      reason = e.what();
    }
    std::cout << nlohmann::json{{"case", std::filesystem::path(argv[k]).filename().string()},
                                {"passed", reason.empty()},
                                {"reason", reason}}
                     .dump()
              << "\n";
  }
  return 0;
}
