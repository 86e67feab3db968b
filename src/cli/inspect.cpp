#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/base/latency.h"
#include "cli/base/model_report.h"
#include "cli/base/outputs.h"
#include "cli/base/prune_arguments.h"
#include "cli/commands.h"
#include "quboprune/channel_groups.h"
#include "quboprune/computed_weights.h"
#include "quboprune/model.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  std::string model, json_path;
  AnalyseOptions layers;
  bool latency = true;
};

json describe(const Model& model, const ChannelGroups& groups, const Context& context) {
  json result = report_head("inspect", context);
  result["model"] = model_json(model.path().string(), model, groups);
  json layers = json::array();
  for (const auto& layer : groups.layers()) {
    std::vector<int> prunable;
    for (int g : layer.groups) {
      if (g >= 0) prunable.push_back(g);
    }
    layers.push_back({{"name", layer.name},
                      {"channels", layer.groups.size()},
                      {"prunable", prunable.size()},
                      {"groups", layer.groups},
                      {"macs", layer.macs}});
  }
  result["layers"] = layers;
  const Mask all(static_cast<std::size_t>(groups.size()), 1);
  const auto parameters = groups.cost().marginals(Cost::params, all);
  const auto macs = groups.cost().marginals(Cost::macs, all);
  json list = json::array();
  for (int g = 0; g < groups.size(); ++g) {
    const auto at = static_cast<std::size_t>(g);
    list.push_back({{"group", groups.name(g)},
                    {"members", groups.members(g)},
                    {"parameters", std::llround(parameters[at])},  // what goes with it, the others staying
                    {"macs", std::llround(macs[at])}});
  }
  result["groups"] = list;
  json frozen = json::array();
  for (const auto& f : groups.frozen())
    frozen.push_back({{"reason", f.reason}, {"channels", f.channels}, {"macs", f.macs}});
  result["frozen"] = frozen;
  return result;
}

/// How long one run takes in ONNX Runtime, where that is at hand and takes the file.
void add_latency(json& description, int threads) {
  const auto& model = description["model"];
  const json measured = onnx_runtime_latency({model["path"].get<std::string>()},
                                             model["analysed_size"].get<std::string>(), threads);
  if (!measured.contains("milliseconds")) return;
  description["latency"] = {{"runtime", measured["runtime"]},
                            {"threads", measured["threads"]},
                            {"input", measured["input"]},
                            {"ms", measured["milliseconds"][0]}};
}

/// How many groups there were if means over channels could lose some.
void add_shrunk_norms(json& description, const Graph& graph, const AnalyseOptions& layers) {
  if (layers.shrink_norms || description["frozen"].empty()) return;
  AnalyseOptions options = layers;
  options.shrink_norms = true;
  const int filters = analyse(graph, options).size();
  if (filters > description["model"]["filters"].get<int>())
    description["filters_with_shrink_norms"] = filters;
}

void print(const json& d) {
  const double macs = d["model"]["macs"].get<double>();
  fmt::print("{}\n", d["model"]["path"].get<std::string>());
  fmt::print("  {:.0f} parameters, {:.4g} MACs on {}, {} prunable channel groups\n\n",
             d["model"]["parameters"].get<double>(), macs, d["model"]["analysed_size"].get<std::string>(),
             d["model"]["filters"].get<int>());
  if (d.contains("latency")) {
    const int threads = d["latency"]["threads"].get<int>();
    fmt::print("  {} on {} thread{}: {:.2f} ms\n\n", d["latency"]["runtime"].get<std::string>(), threads,
               threads == 1 ? "" : "s", d["latency"]["ms"].get<double>());
  }
  std::size_t width = 44;
  for (const auto& layer : d["layers"]) width = std::max(width, layer["name"].get<std::string>().size());
  fmt::print("  {:<{}} {:>9} {:>9} {:>8}\n", "layer", width, "channels", "prunable", "MACs");
  for (const auto& layer : d["layers"]) {
    fmt::print("  {:<{}} {:>9} {:>9} {:>6.1f} %\n", layer["name"].get<std::string>(), width,
               layer["channels"].get<int>(), layer["prunable"].get<int>(),
               macs > 0 ? 100 * layer["macs"].get<double>() / macs : 0.0);
  }
  if (d["frozen"].empty()) return;
  fmt::print("\n  kept whatever the target:\n");
  for (const auto& f : d["frozen"]) {
    const int channels = f["channels"].get<int>();
    fmt::print("    frozen by {}: {} channel{}", f["reason"].get<std::string>(), channels,
               channels == 1 ? "" : "s");
    const auto own = f["macs"].get<double>();  // 0: behind what can't be run; not known
    fmt::print("{}\n", own > 0 ? fmt::format(", {:.1f} % of the MACs", 100 * own / macs) : "");
  }
  if (d.contains("filters_with_shrink_norms"))
    fmt::print(
        "  with --shrink-norms, where means are over the channels that stay: {} prunable channel groups\n",
        d["filters_with_shrink_norms"].get<int>());
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("inspect", "Shows what can be pruned in a network, and what can't and why");
  auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "The ONNX file")->required();
  command->add_option("--json", options->json_path, "Write the same as JSON");
  add_shrink_norms(*command, options->layers);
  command->add_flag_callback(
      "--no-latency", [options] { options->latency = false; }, "Don't time the network in ONNX Runtime");
  add_common_options(*command, context);
  command->callback([options, &context] {
    context.action = [options, &context] {
      check_outputs({options->json_path}, {options->model});
      const Model model = Model::load(options->model);
      // As pruning sees it, and what it doesn't see: layers behind what can't be run.
      const Graph graph = with_computed_weights(with_own_constants(model.graph()));
      json description = describe(model, analyse(graph, options->layers), context);
      add_shrunk_norms(description, graph, options->layers);
      if (options->latency) add_latency(description, context.threads);
      write_json(options->json_path, description);
      print(description);
    };
  });
}

}  // namespace quboprune
