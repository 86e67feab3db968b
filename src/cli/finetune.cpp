#include "quboprune/finetune.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_map>

#include "cli/base/data_arguments.h"
#include "cli/base/model_report.h"
#include "cli/base/numbers.h"
#include "cli/base/outputs.h"
#include "cli/base/plan.h"
#include "cli/commands.h"
#include "quboprune/batches.h"
#include "quboprune/computed_weights.h"
#include "quboprune/distil.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/executor.h"
#include "quboprune/file.h"
#include "quboprune/model.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

struct Options {
  std::string model, output, report, teacher, plan, loss, batch_norm = "frozen";
  double feature_weight = 0;
  DataArguments data;
  FinetuneOptions train;
};

void add_options(CLI::App& command, Options& o) {
  command.add_option("model", o.model, "The ONNX file")->required();
  command.add_option("-o,--output", o.output, "The trained ONNX file")->required();
  o.data.add_to(command);
  auto* teacher = command.add_option("--teacher", o.teacher,
                                     "A network whose outputs are a second target (the original)");
  command.add_option("--teacher-weight", o.train.teacher_weight, "Its share of the loss")
      ->needs(teacher)
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  auto* plan = command.add_option("--plan", o.plan,
                                  "The plan by which the model was cut from the teacher: follow it inside "
                                  "too, at the cut layers");
  auto* weight = command.add_option("--feature-weight", o.feature_weight, "How much, with --plan")
                     ->check(not_negative());
  plan->needs(weight);
  weight->needs(plan);
  command.add_option("--steps", o.train.steps, "Of the optimiser")->check(positive())->capture_default_str();
  command.add_option("--time-limit", o.train.time_limit, "Seconds; the schedule ends then at the latest")
      ->check(not_negative());
  command.add_option("--batch", o.train.batch, "Crops a step")->check(positive())->capture_default_str();
  command.add_option("--lr", o.train.learning_rate, "Highest learning rate")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--weight-decay", o.train.weight_decay, "Of Adam")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("--ema", o.train.ema, "Decay of the average of weights that is returned; 0: none")
      ->check(CLI::Range(0.0, 0.999999))
      ->capture_default_str();
  command
      .add_option("--batch-norm", o.batch_norm, "train its statistics (from scratch), or keep them frozen")
      ->check(CLI::IsMember({"train", "frozen"}))
      ->capture_default_str();
  command.add_flag(
      "--augment,!--no-augment", o.train.augment,
      "Flips and quarter turns (of labelled images: mirrored); else as fits: not of labelled images");
  command.add_option("--work", o.train.work, "Folder to keep the state in and to take it up from");
  command.add_option("--report", o.report, "Write what was done as JSON");
}

/// Where the model follows the teacher inside: what the plan cut, by the values' names.
std::vector<Feature> features_of(const Options& o, const Graph& model, const Graph& teacher,
                                 std::span<const Sample> samples) {
  AnalyseOptions options{.allow_empty = true, .shrink_norms = true};
  if (!samples.empty()) options.sample = sizes_of(samples.front());
  const ChannelGroups groups = analyse(as_pruned(teacher), options);
  std::unordered_map<std::string, int> by_name;
  for (std::size_t v = 0; v < model.values.size(); ++v) by_name[model.values[v].name] = static_cast<int>(v);
  std::vector<Feature> features = cut_features(groups, mask_of(read_plan(o.plan), o.plan, groups));
  std::erase_if(features, [&](Feature& f) {
    const auto found = by_name.find(teacher.values[static_cast<std::size_t>(f.teacher)].name);
    if (found != by_name.end()) f.value = found->second;
    return found == by_name.end();
  });
  if (features.empty())
    throw InputError(o.plan + ": nothing that it cuts from " + o.teacher + " is in " + o.model +
                     "; give the plan that the model was made by, or leave --plan out");
  return features;
}

/// Does it take the data, and give what the network gives?
void check_teacher(const Options& o, const Graph& model, const Graph& teacher, std::span<const Sample> one) {
  const auto given = outputs_of(Executor(model), one, o.train.judge);
  std::vector<at::Tensor> taught;
  try {
    taught = outputs_of(Executor(teacher), one, o.train.judge);
  } catch (const InputError& error) {
    throw InputError(fmt::format("--teacher {}: doesn't take the data that {} is trained on: {}", o.teacher,
                                 o.model, error.what()));
  }
  for (std::size_t k = 0; k < taught.size(); ++k) {
    if (taught[k].sizes() != given[k].sizes())
      throw InputError(fmt::format("--teacher {}: gives {}, {} gives {}: take the network that it came from",
                                   o.teacher, at::str(taught[k].sizes()), o.model,
                                   at::str(given[k].sizes())));
  }
}

/// Loads the teacher, which must stay as long as the training lasts.
std::unique_ptr<Model> prepare_teacher(Options& o, const Graph& model, std::span<const Sample> samples) {
  if (o.teacher.empty()) {
    if (!o.plan.empty()) throw InputError("--plan needs --teacher, the network that the plan is for");
    return nullptr;
  }
  auto teacher = std::make_unique<Model>(Model::load(o.teacher));
  check_teacher(o, model, teacher->graph(), samples.first(std::min<std::size_t>(samples.size(), 1)));
  o.train.teacher = &teacher->graph();
  if (!o.plan.empty() && o.feature_weight > 0) {
    o.train.features = features_of(o, model, teacher->graph(), samples);
    o.train.feature_weight = o.feature_weight;
  }
  return teacher;
}

/// All that makes another training of it, but the steps and the time limit.
std::string problem_of(const Options& o, const Model& model, const Model* teacher, const Dataset& data) {
  constexpr int kLooks = 4;  // crops of which the content counts, not only their names
  Rng rng(o.train.seed);
  std::vector<Sample> crops;
  for (int k = 0; k < kLooks; ++k) crops.push_back(data.random_crop(rng, o.train.crop, false));
  const Manifest manifest = data.manifest();
  const nlohmann::json key = {{"model", model.sha256()},
                              {"teacher", teacher != nullptr ? teacher->sha256() : ""},
                              {"plan", o.plan.empty() ? "" : sha256_of_file(o.plan)},
                              {"images", manifest.calibration},
                              {"noise", manifest.noise},
                              {"crops", digest_of(crops)},
                              {"settings", training_settings(o.train)}};
  return sha256_of_bytes(key.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

/// What the data and the shared options say about the training.
void complete(Options& o, const Dataset& data, const Graph& model, std::uint64_t seed) {
  o.train.judge = o.data.judge(data, model);
  o.train.crop = o.data.options.crop;
  o.train.seed = seed;
  o.train.train_batch_norm = o.batch_norm == "train";
}

/// What the user should know before the training.
std::vector<std::string> notes_of(const Options& o, const Dataset& data, const Graph& graph) {
  std::vector<std::string> notes = data.notes();
  notes.push_back(DataArguments::classes_say(data, graph));
  notes.push_back(o.data.without_say());
  if (o.train.train_batch_norm && o.train.batch > 1 && one_at_a_time(graph))
    notes.emplace_back(
        "the file fixes the batch: samples are run one by one, and batch norm learns from one at a time");
  if (graph.outputs.size() > 1)
    notes.push_back(fmt::format("only the first of the network's {} outputs, '{}', is trained and judged",
                                graph.outputs.size(),
                                graph.values[static_cast<std::size_t>(graph.outputs.front())].name));
  std::erase(notes, "");
  return notes;
}

/// The held-out metric of the network as it came and as it was trained.
struct Gain {
  Score before, after;
};

void print(const Options& o, const FinetuneResult& result, const Gain& gain) {
  fmt::print("{} steps in {:.0f} s ({}), {} on {} held-out samples: {:.4f} -> {:.4f}\n", result.steps,
             result.seconds, result.reason, name_of(o.train.judge.metric), gain.before.samples.size(),
             gain.before.mean, gain.after.mean);
  if (result.taken_up > 0)
    fmt::print("{} of the steps were taken up from {}\n", result.taken_up, o.train.work.string());
  if (!result.unsaved.empty())
    fmt::print(stderr, "finetune: the training's last state isn't kept: {}\n", result.unsaved);
}

nlohmann::json report_of(const Options& o, const Model& model, const Dataset& data,
                         std::span<const Sample> heldout, const FinetuneResult& result, const Gain& gain,
                         const Context& context) {
  nlohmann::json history = nlohmann::json::array();
  for (const auto& p : result.history) history.push_back({{"step", p.step}, {"loss", p.loss}});
  nlohmann::json report = report_head("finetune", context);
  report["model"] = model_json(o.model, model, heldout);
  report["data"] = describe(data);
  report["data"]["notes"] = notes_of(o, data, model.graph());
  report["result"] = {{"steps", result.steps},
                      {"taken_up", result.taken_up},
                      {"seconds", result.seconds},
                      {"reason", result.reason},
                      {"metric",
                       {{"name", name_of(o.train.judge.metric)},
                        {"heldout", {{"dense", gain.before.mean}, {"recovered", gain.after.mean}}}}}};
  report["history"] = history;
  return report;
}

void run(Options& o, const Context& context) {
  check_outputs({o.output, o.report}, {o.model, o.teacher, o.plan, o.data.source, o.data.options.split});
  const Model model = Model::load(o.model);
  if (!o.train.work.empty()) make_folder(o.train.work, "--work");
  auto data = o.data.open(model.graph(), context.seed);
  complete(o, *data, model.graph(), context.seed);
  const auto heldout = data->samples(Part::heldout, context.control);
  const std::unique_ptr<Model> teacher = prepare_teacher(o, model.graph(), heldout);
  // The original is the teacher where there is one: without targets it is what the network is measured
  // against.
  const Graph& original = teacher ? teacher->graph() : model.graph();
  for (const std::string& note : notes_of(o, *data, model.graph())) fmt::print("note: {}\n", note);
  const NetworkJudge judged(original, heldout, o.train.judge, context.control);
  Gain gain{.before = judged.score(model.graph()), .after = {}};
  check_score(gain.before, heldout, o.model);
  if (!o.train.work.empty()) o.train.problem = problem_of(o, model, teacher.get(), *data);
  FinetuneResult result = finetune(model.graph(), *data, o.train, context.control);
  result.graph =
      with_weights_computed_as_in(model.graph(), with_own_constants(model.graph()), std::move(result.graph));
  // Before anything else that may fail: it is the training that costs.
  model.save(o.output, result.graph,
             {{"quboprune.finetuned",
               fmt::format("{} steps of {} crops of {}", result.steps, o.train.batch, o.train.crop)}});
  gain.after = judged.score(result.graph);
  print(o, result, gain);
  write_json(o.report, report_of(o, model, *data, heldout, result, gain, context));
}

}  // namespace

void add_finetune(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("finetune", "Trains a network further, or one that is freshly initialised");
  auto options = std::make_shared<Options>();
  options->data.options.crop = 96;
  add_options(*command, *options);
  add_common_options(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { run(*options, context); }; });
}

}  // namespace quboprune
