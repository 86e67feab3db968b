// slice_model MODEL OUT FRACTION SEED: removes random channel groups and writes the smaller network.
// Prints one JSON object: groups, how many were removed, the certificate, and the seconds of each stage.

#include <ATen/Parallel.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "quboprune/channel_groups.h"
#include "quboprune/error.h"
#include "quboprune/model.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

/// Removes about `fraction` of the groups at random, never the last of an axis.
Mask random_mask(const ChannelGroups& groups, double fraction, std::uint64_t seed) {
  Rng rng(seed);
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (auto& bit : mask) bit = rng.uniform() < fraction ? 0 : 1;
  for (const auto& cover : groups.cost().covers()) {
    bool any = false;
    for (int g : cover) any = any || mask[static_cast<std::size_t>(g)] != 0;
    if (!any) mask[static_cast<std::size_t>(cover[rng.below(static_cast<std::uint32_t>(cover.size()))])] = 1;
  }
  return mask;
}

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

nlohmann::json run(const std::string& path, const std::string& out, double fraction, std::uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  const Model model = Model::load(path);
  const double loaded = since(start);
  const ChannelGroups groups = analyse(model.graph());
  const double analysed = since(start) - loaded;
  const Mask mask = random_mask(groups, fraction, seed);
  const Graph sliced = slice(groups, mask);
  const double cut = since(start) - loaded - analysed;
  nlohmann::json frozen = nlohmann::json::array();
  for (const auto& f : groups.frozen()) frozen.push_back({f.reason, f.channels, f.macs});
  nlohmann::json result = {{"groups", groups.size()},
                           {"removed", groups.size() - kept_count(mask)},
                           {"macs", groups.cost().value(Cost::macs, Mask(mask.size(), 1))},
                           {"macs_after", groups.cost().value(Cost::macs, mask)},
                           {"parameters_after", groups.cost().value(Cost::params, mask)},
                           {"frozen", frozen},
                           {"seconds", {{"load", loaded}, {"analyse", analysed}, {"slice", cut}}}};
  const Equivalence e = verify(groups, mask, sliced);
  result["equivalence"] = {{"holds", e.holds()},
                           {"max_abs_difference", e.max_abs_difference},
                           {"tolerance", e.tolerance},
                           {"shapes", e.shapes},
                           {"where", e.where}};
  model.save(out, sliced);
  return result;
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: slice_model MODEL OUT FRACTION SEED\n";
    return 2;
  }
  try {
    at::set_num_threads(1);
    std::cout << quboprune::run(argv[1], argv[2], std::stod(argv[3]), std::stoull(argv[4])).dump(1) << "\n";
    return 0;
  } catch (const quboprune::InputError& e) {
    std::cerr << "error: " << e.what() << "\n";
    return 2;
  }
}
