#include <ATen/ATen.h>
#include <fmt/core.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/base/data_arguments.h"
#include "cli/base/model_report.h"
#include "cli/base/outputs.h"
#include "cli/commands.h"
#include "data/image_layout.h"
#include "data/npy.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
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
    if (!s.target.defined()) return {};
    const at::Tensor input = channels_first(s.input);
    const at::Tensor target = channels_first(s.target);
    if (target.sizes() != input.sizes()) return {};
    values.push_back(evaluate(judge, input, target));
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
  for (const auto& [name, first] : samples.front().others) {
    std::vector<at::Tensor> all;
    for (const auto& s : samples) all.push_back(s.others.at(name));
    const at::Tensor stacked = at::stack(all);
    arrays[name] = stacked.to(stacked.is_floating_point() ? at::kFloat : at::kLong);
  }
  write_npz(path, arrays);
}

Part part_of(const Options& o) {
  return o.part == "all" ? Part::all : o.part == "heldout" ? Part::heldout : Part::calibration;
}

/// What the network was measured on, and what came of it.
struct Measured {
  std::span<const Sample> samples;
  Judge judge;
  Score score;
  Score start;  ///< of_inputs, for the metrics of images; otherwise empty
};

/// The outputs to compare with: the named network's, or where only a distance can be measured, its own.
std::vector<at::Tensor> references_of(const Options& o, const Model& model, std::span<const Sample> samples,
                                      const Judge& judge, const Control& control) {
  if (!o.reference.empty())
    return outputs_of(Executor(Model::load(o.reference).graph()), samples, judge, control);
  if (measures_distance(judge)) return outputs_of(Executor(model.graph()), samples, judge, control);
  return {};
}

void print(const Options& o, const Measured& m, std::size_t outputs) {
  fmt::print("{} on {} samples ({}): {:.4f}\n", name_of(m.judge.metric), m.samples.size(), o.part,
             m.score.mean);
  if (outputs > 1) fmt::print("only the first of the network's {} outputs was measured\n", outputs);
  if (measures_distance(m.judge) && o.reference.empty())
    fmt::print("measured against this network itself: name the original with --reference\n");
  if (m.start.samples.empty()) return;
  double worst = INFINITY;
  for (std::size_t s = 0; s < m.samples.size(); ++s)
    worst = std::min(worst, m.score.samples[s] - m.start.samples[s]);
  fmt::print("of the inputs: {:.4f}; gain {:+.4f}, worst sample {:+.4f}\n", m.start.mean,
             m.score.mean - m.start.mean, worst);
}

json result_of(const Options& o, const Measured& m) {
  json list = json::array();
  for (std::size_t s = 0; s < m.samples.size(); ++s) {
    list.push_back(
        {{"name", m.samples[s].name}, {"scene", m.samples[s].scene}, {"value", m.score.samples[s]}});
    if (!m.start.samples.empty()) list.back()["input"] = m.start.samples[s];
  }
  json result = {{"metric", {{"name", name_of(m.judge.metric)}, {o.part, {{"dense", m.score.mean}}}}},
                 {"samples", list}};
  if (!m.start.samples.empty()) result["metric"][o.part]["input"] = m.start.mean;
  return result;
}

void run(Options& o, const Context& context) {
  check_outputs({o.report, o.samples}, {o.model, o.reference, o.data.source, o.data.options.split});
  const Model model = Model::load(o.model);
  auto data = o.data.open(model.graph(), context.seed);
  const Judge judge = o.data.judge(*data, model.graph());
  const auto samples = data->samples(part_of(o), context.control);
  const auto references = references_of(o, model, samples, judge, context.control);
  Measured measured{samples, judge, {}, {}};
  measured.score = evaluate_network(Executor(model.graph()), samples, judge, references, context.control);
  check_score(measured.score, samples, o.model);
  const bool images = judge.metric == Metric::psnr || judge.metric == Metric::ssim;
  if (images && o.data.options.mean.empty())  // normalised inputs aren't what targets are
    measured.start = of_inputs(samples, judge);
  if (!o.samples.empty()) save_samples(o.samples, samples);
  print(o, measured, model.graph().outputs.size());
  for (const std::string& note : data->notes()) fmt::print("note: {}\n", note);
  if (o.report.empty()) return;
  json described = describe(*data);
  if (o.part != "all") described[o.part] = names_of(samples);
  json report = report_head("eval", context);
  report["model"] = model_json(o.model, model, samples);
  report["data"] = described;
  report["result"] = result_of(o, measured);
  write_json(o.report, report);
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
