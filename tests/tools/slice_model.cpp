// slice_model MODEL OUT FRACTION SEED [shrink-norms]: removes random channel groups and writes the smaller
// network. Prints one JSON object: groups, how many were removed, the certificate, the seconds of each stage,
// and the peak memory up to the cut and at the end. Weights stay in the file, which else only large ones do.

#include <ATen/Parallel.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "quboprune/channel_groups.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/model.h"
#include "quboprune/surgery.h"
#include "random_mask.h"

namespace quboprune {
namespace {

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

nlohmann::json run(const std::string& path, const std::string& out, double fraction, std::uint64_t seed,
                   const AnalyseOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Model model = Model::load(path, {.in_memory = 0});
  const double loaded = since(start);
  const Graph graph = with_computed_weights(model.graph());
  const ChannelGroups groups = analyse(graph, options);
  const double analysed = since(start) - loaded;
  const Mask mask = random_mask(groups, fraction, seed);
  const Graph sliced = slice(groups, mask);
  const double cut = since(start) - loaded - analysed;
  nlohmann::json frozen = nlohmann::json::array();
  for (const auto& f : groups.frozen()) frozen.push_back({f.reason, f.channels, f.macs});
  nlohmann::json result = {{"nodes", model.graph().nodes.size()},
                           {"groups", groups.size()},
                           {"removed", groups.size() - kept_count(mask)},
                           {"macs", groups.cost().value(Cost::macs, Mask(mask.size(), 1))},
                           {"macs_after", groups.cost().value(Cost::macs, mask)},
                           {"parameters_after", groups.cost().value(Cost::params, mask)},
                           {"frozen", frozen},
                           {"peak_rss_bytes", peak_rss_bytes()},
                           {"seconds", {{"load", loaded}, {"analyse", analysed}, {"slice", cut}}}};
  const Equivalence e = verify(groups, mask, sliced);
  result["equivalence"] = {{"holds", e.holds()},
                           {"max_abs_difference", e.max_abs_difference},
                           {"tolerance", e.tolerance},
                           {"shapes", e.shapes},
                           {"where", e.where}};
  model.save(out, with_weights_computed_as_in(model.graph(), graph, sliced));
  result["peak_rss_bytes_at_end"] = peak_rss_bytes();
  return result;
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  const bool shrinks = argc == 6 && std::string(argv[5]) == "shrink-norms";
  if (argc != 5 && !shrinks) {
    std::cerr << "usage: slice_model MODEL OUT FRACTION SEED [shrink-norms]\n";
    return 2;
  }
  try {
    at::set_num_threads(1);
    std::cout << quboprune::run(argv[1], argv[2], std::stod(argv[3]), std::stoull(argv[4]),
                                {.shrink_norms = shrinks})
                     .dump(1)
              << "\n";
    return 0;
  } catch (const quboprune::InputError& e) {
    std::cerr << "error: " << e.what() << "\n";
    return 2;
  }
}
