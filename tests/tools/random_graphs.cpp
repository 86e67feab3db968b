// random_graphs FIRST COUNT [FOLDER]: for each seed a random network and a random mask; the masked network
// must compute what the sliced one does, and the cost model must count what is in it. Prints one JSON object.
// With FOLDER, each seed's sliced file, inputs and masked outputs are left there for another runtime.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "model/tensor_proto.h"
#include "quboprune/channel_groups.h"
#include "quboprune/model.h"
#include "quboprune/surgery.h"
#include "random_mask.h"
#include "random_network.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void write_example(const fs::path& folder, const std::string& name, const ChannelGroups& groups,
                   const Mask& mask, const Graph& dense) {
  const at::NoGradGuard no_grad;
  at::Tensor x = at::empty({2, 3, 8, 8});
  Rng rng(1);
  for (std::int64_t i = 0; i < x.numel(); ++i)
    static_cast<float*>(x.data_ptr())[i] = static_cast<float>(rng.uniform());
  std::vector<at::Tensor> tensors = Executor(dense).run({x}, masked_run(groups, mask));
  tensors.insert(tensors.begin(), x);
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    onnx::TensorProto proto;
    write_tensor(proto, tensors[k]);
    write(folder / (name + "_" + std::to_string(k) + ".pb"), proto.SerializeAsString());
  }
}

/// Parameters that the file holds, counted.
double counted(const Graph& graph) {
  double total = 0;
  for (const auto& value : graph.values) {
    if (value.is_constant() && value.constant.is_floating_point())
      total += static_cast<double>(value.constant.numel());
  }
  return total;
}

struct Totals {
  int networks = 0, groups = 0, removed = 0, without = 0;
  nlohmann::json failures = nlohmann::json::array();
};

void one(std::uint64_t seed, const fs::path& folder, bool keep, Totals& totals) {
  const std::string name = "net" + std::to_string(seed);
  const fs::path path = folder / (name + ".onnx");
  write(path, random_network(seed).SerializeAsString());
  const Model model = Model::load(path);
  const ChannelGroups groups = analyse(model.graph());
  const Mask mask = random_mask(groups, 0.1 + 0.2 * static_cast<double>(seed % 4), seed);
  const Graph sliced = slice(groups, mask);
  const Equivalence e = verify(groups, mask, sliced);
  ++totals.networks;
  totals.groups += groups.size();
  totals.without += groups.size() == 0 ? 1 : 0;
  totals.removed += groups.size() - kept_count(mask);
  if (!e.holds())
    totals.failures.push_back({{"seed", seed}, {"difference", e.max_abs_difference}, {"where", e.where}});
  if (groups.cost().value(Cost::params, mask) != counted(sliced))
    totals.failures.push_back({{"seed", seed}, {"counted", counted(sliced)}});
  if (keep) {
    write_example(folder, name, groups, mask, model.graph());
    model.save(folder / (name + "_sliced.onnx"), sliced);
  }
  if (!keep) fs::remove(path);
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  using namespace quboprune;
  if (argc < 3) {
    std::cerr << "usage: random_graphs FIRST COUNT [FOLDER]\n";
    return 2;
  }
  at::set_num_threads(1);
  const auto first = std::stoull(argv[1]);
  const fs::path folder = argc > 3 ? fs::path(argv[3]) : fs::temp_directory_path();
  Totals totals;
  for (auto seed = first; seed < first + std::stoull(argv[2]); ++seed) {
    try {
      one(seed, folder, argc > 3, totals);
    } catch (const std::exception& e) {
      totals.failures.push_back({{"seed", seed}, {"error", e.what()}});
    }
  }
  std::cout << nlohmann::json{{"networks", totals.networks},
                              {"groups", totals.groups},
                              {"removed", totals.removed},
                              {"without_groups", totals.without},
                              {"failures", totals.failures}}
                   .dump(1)
            << "\n";
  return totals.failures.empty() ? 0 : 1;
}
