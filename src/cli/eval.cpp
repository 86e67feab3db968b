#include <ATen/ATen.h>
#include <fmt/core.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/base/data_arguments.h"
#include "cli/base/outputs.h"
#include "cli/commands.h"
#include "data/npy.h"
#include "quboprune/error.h"
#include "quboprune/model.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  std::string model, report, reference, samples, part = "all";
  DataArguments data;
};

/// The metric of the samples as they are: what a denoiser starts from. Empty where input and target differ in
/// kind.
Score of_inputs(std::span<const Sample> samples, const Judge& judge) {
  std::vector<double> values;
  for (const auto& s : samples) {
    if (!s.target.defined() || s.target.sizes() != s.input.sizes()) return {};
    values.push_back(evaluate(judge.metric, judge.loss, s.input, s.target, judge.peak));
  }
  return score_of(std::move(values));
}

/// The samples as the .npz that --data reads: another tool then has exactly what this one had.
void save_samples(const std::string& path, std::span<const Sample> samples) {
  std::vector<at::Tensor> inputs, targets;
  for (const auto& s : samples) {
    if (s.input.sizes() != samples.front().input.sizes())
      throw InputError("--save-samples: '" + s.name + "' differs from the first sample in size; cut them " +
                       "alike with --heldout-crop, or take --part calibration");
    inputs.push_back(s.input);
    if (s.target.defined()) targets.push_back(s.target);
  }
  std::map<std::string, at::Tensor> arrays{{"inputs", at::stack(inputs)}};
  if (!targets.empty()) arrays["targets"] = at::stack(targets);
  write_npz(path, arrays);
}

void run(Options& o, const Context& context) {
  check_outputs({o.report, o.samples}, {o.model, o.reference, o.data.source});
  const Model model = Model::load(o.model);
  auto data = o.data.open(model.graph(), context.seed);
  const Judge judge = o.data.judge(*data, model.graph());
  const auto samples = data->samples(o.part == "all"       ? Part::all
                                     : o.part == "heldout" ? Part::heldout
                                                           : Part::calibration);
  if (!o.samples.empty()) save_samples(o.samples, samples);
  const bool distance =
      judge.metric == Metric::output || (judge.metric == Metric::loss && judge.loss == Loss::output);
  std::vector<at::Tensor> references;
  if (!o.reference.empty())
    references = outputs_of(Executor(Model::load(o.reference).graph()), samples, judge, context.control);
  else if (distance)
    references = outputs_of(Executor(model.graph()), samples, judge, context.control);
  const Score score = evaluate_network(Executor(model.graph()), samples, judge, references, context.control);
  check_score(score, samples, o.model);
  const Score start =
      judge.metric == Metric::psnr || judge.metric == Metric::ssim ? of_inputs(samples, judge) : Score{};
  const std::string metric = name_of(judge.metric);
  fmt::print("{} on {} samples ({}): {:.4f}\n", metric, samples.size(), o.part, score.mean);
  if (distance && o.reference.empty())
    fmt::print("measured against this network itself: name the original with --reference\n");
  double worst = INFINITY;
  if (!start.samples.empty()) {
    for (std::size_t s = 0; s < samples.size(); ++s)
      worst = std::min(worst, score.samples[s] - start.samples[s]);
    fmt::print("of the inputs: {:.4f}; gain {:+.4f}, worst sample {:+.4f}\n", start.mean,
               score.mean - start.mean, worst);
  }
  if (o.report.empty()) return;
  json list = json::array();
  for (std::size_t s = 0; s < samples.size(); ++s) {
    list.push_back({{"name", samples[s].name}, {"scene", samples[s].scene}, {"value", score.samples[s]}});
    if (!start.samples.empty()) list.back()["input"] = start.samples[s];
  }
  json result = {{"metric", {{"name", metric}, {o.part, {{"dense", score.mean}}}}}, {"samples", list}};
  if (!start.samples.empty()) result["metric"][o.part]["input"] = start.mean;
  write_json(o.report, {{"tool", {{"name", "quboprune"}, {"version", QUBOPRUNE_VERSION}}},
                        {"command", "eval"},
                        {"seed", context.seed},
                        {"model", {{"path", o.model}, {"sha256", model.sha256()}}},
                        {"data", describe(*data)},
                        {"result", result}});
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("eval", "Measures a network on data");
  auto options = std::make_shared<Options>();
  command->add_option("model", options->model, "The ONNX file")->required();
  options->data.add_to(*command);
  command->add_option("--part", options->part, "Which part of the split: all, heldout or calibration")
      ->check(CLI::IsMember({"all", "heldout", "calibration"}))
      ->capture_default_str();
  command->add_option("--save-samples", options->samples,
                      "Write these samples as an .npz (inputs, targets), for other tools or for --data");
  command->add_option(
      "--reference", options->reference,
      "Network whose outputs --metric output compares with (the original); by default the same network");
  command->add_option("--report", options->report, "Write the result as JSON");
  add_common_options(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { run(*options, context); }; });
}

}  // namespace quboprune
