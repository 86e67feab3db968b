#include "cli/base/prune_arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/base/ignored_options.h"
#include "cli/base/numbers.h"

namespace quboprune {

CLI::Validator auto_or(std::vector<std::string> names) {
  names.insert(names.begin(), "auto");
  return CLI::IsMember(std::move(names));
}

void add_shrink_norms(CLI::App& command, AnalyseOptions& layers) {
  command.add_flag(
      "--shrink-norms", layers.shrink_norms,
      "Layer norms and other means over channels may lose channels, and are then the means of those "
      "that stay (the equivalence is checked against such means too). Otherwise all channels that "
      "they read stay");
}

void PruneArguments::add_network_and_data(CLI::App& command, bool data_required) {
  command.add_option("model", model, "The ONNX file")->required();
  data.add_to(command, data_required);
  command.add_option("--scope", layers.scope,
                     "Only layers whose names match may lose channels (shell patterns); filters=FRACTION is "
                     "then one of theirs, "
                     "params and macs are of the whole network");
  command.add_option("--freeze", layers.freeze, "Layers whose names match stay whole (shell patterns)");
  command.add_flag(
      "--allow-empty", layers.allow_empty,
      "Residual branches may lose all their channels: what such a branch adds is then its bias, "
      "a constant, or nothing, and its nodes go. Otherwise every layer keeps a channel at least");
  add_shrink_norms(command, layers);
  command.add_option(
      "--work", work,
      "Folder to keep in what was scored and measured, trained and refined, and to take it up from");
}

void PruneArguments::add_objective(CLI::App& command) {
  command
      .add_option(
          "--objective", choose.objective,
          fmt::format("auto (the best of taylor, hybrid, gauss-newton and reconstruction as they would ship, "
                      "each calibration scene judged by a repair on others), or one of {}",
                      fmt::join(objective_names(), ", ")))
      ->check(auto_or(objective_names()))
      ->capture_default_str();
  std::vector<std::string> searches = search_names();
  searches.emplace_back("none");
  command
      .add_option("--refine", choose.refine,
                  "Search on the true metric: tt, local, tt+local; as rivals protes and random; or none")
      ->check(CLI::IsMember(searches))
      ->capture_default_str();
}

void PruneArguments::add_formulation(CLI::App& command) {
  auto& f = choose.formulation;
  command.add_flag("--of-live", of_live,
                   "The target is a part of what is left without the groups that are never active on the "
                   "calibration data, and so much more goes; which groups go is the objective's choice");
  // A weight given by hand is one to be taken.
  const auto taken = [this](const std::string&) { choose.tune = false; };
  command.add_option("--alpha", f.taylor, "hybrid: weight of Taylor scores")
      ->check(not_negative())
      ->each(taken)
      ->capture_default_str();
  command.add_option("--beta", f.fisher, "hybrid: weight of Fisher scores")
      ->check(not_negative())
      ->each(taken)
      ->capture_default_str();
  command.add_option("--gamma", f.redundancy, "hybrid: weight of similarity")
      ->check(not_negative())
      ->each(taken)
      ->capture_default_str();
  command.add_option("--cross", f.cross, "gate-fisher, gauss-newton, measured: weight of cross terms")
      ->each(taken)
      ->capture_default_str();
  command.add_flag("--centred", f.centred, "Pearson correlation instead of cosine similarity");
  command.add_flag("--per-layer", f.per_layer, "Normalise greedy importances by layer");
  command.add_option("--penalty", f.penalty, "l1-qubo: lambda in units of the mean norm")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--probes", score.probes, "Random output vectors a sample for gauss-newton")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
}

void PruneArguments::add_choice(CLI::App& command) {
  add_formulation(command);
  command.add_flag_callback(
      "--no-tune", [this] { choose.tune = false; },
      "Don't try a few alpha, beta, gamma and cross on calibration data; giving one of them does the same");
  command.add_option("--solver", choose.solver.method, "auto or a name that quboprune solve lists")
      ->check(auto_or(solver_names()))
      ->capture_default_str();
  command
      .add_option("--solver-time", choose.solver.seconds,
                  "Seconds for each QUBO; a quarter where an objective tries several settings")
      ->check(positive())
      ->capture_default_str();
  command
      .add_option("--capacity-mode", capacity,
                  "How an exact count is held: direct (swaps) or bisect (a multiplier, then repair)")
      ->check(CLI::IsMember({"direct", "bisect"}))
      ->capture_default_str();
  command
      .add_option(
          "--rounds", choose.rounds.asked,
          "Rounds of scoring, solving and cutting on the way to the target; auto, hybrid, gate-fisher and "
          "gauss-newton try 6 too where no refit follows")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      .add_option(
          "--round-to", choose.round_to,
          "Layers keep multiples of this many channels; 0: of 8 or 4 where auto loses next to nothing "
          "by it, else any")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

void PruneArguments::add_refinement(CLI::App& command) {
  command.add_option("--evaluations", choose.search.evaluations, "Masks that refinement may measure")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--time-limit", choose.search.time_limit, "Seconds for refinement; 0: none")
      ->check(not_negative());
  command
      .add_option("--refine-samples", refine_samples,
                  "Calibration samples that refinement measures on; 0: all")
      ->check(not_negative())
      ->capture_default_str();
  command.add_flag_callback(
      "--refine-before-refit", [this] { refit_aware = false; },
      "Refine against the cut network instead of the one after refit");
}

std::string PruneArguments::without_say(const CLI::App& command) const {
  if (recover == "finetune") return "";
  return ignored_options(command,
                         {"--finetune-steps", "--finetune-lr", "--finetune-batch", "--feature-weight"},
                         "without --recover finetune nothing is trained");
}

std::string PruneArguments::without_say_of_count(const CLI::App& command) const {
  if (target.starts_with("filters")) return "";
  return ignored_options(command, {"--capacity-mode"}, "it is about a count of filters");
}

std::string PruneArguments::without_say_in(const std::vector<std::string>& objectives,
                                           const CLI::App& command) {
  const auto none_has = [&](Objective::Weights weights) {
    return std::ranges::none_of(objectives, [&](const std::string& name) {
      return name == "auto" || objective_named(name).weights == weights;  // auto tries such as have them
    });
  };
  std::vector<const char*> unused;
  if (none_has(Objective::Weights::hybrid)) unused = {"--alpha", "--beta", "--gamma"};
  if (none_has(Objective::Weights::cross)) unused.push_back("--cross");
  return ignored_options(command, unused,
                         fmt::format("{} {} no such weight", fmt::join(objectives, ", "),
                                     objectives.size() == 1 ? "has" : "have"));
}

std::string PruneArguments::without_say_unrefined(const CLI::App& command) const {
  if (choose.refine != "none") return "";
  return ignored_options(command,
                         {"--evaluations", "--time-limit", "--refine-samples", "--refine-before-refit"},
                         "nothing is refined");
}

void PruneArguments::add_recovery(CLI::App& command) {
  command
      .add_option("--recover", recover,
                  "none, refit (least squares), bn (batch-norm statistics) or finetune (refit, then training "
                  "with the original as the teacher)")
      ->check(CLI::IsMember({"none", "refit", "bn", "finetune"}))
      ->capture_default_str();
  command.add_option("--finetune-steps", train.steps, "For --recover finetune")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--finetune-lr", train.learning_rate, "Highest learning rate of --recover finetune")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--finetune-batch", train.batch, "Crops a step of --recover finetune")
      ->check(positive())
      ->capture_default_str();
  command
      .add_option("--feature-weight", train.feature_weight,
                  "How much --recover finetune follows the original inside, at the cut layers; 0: not")
      ->check(not_negative())
      ->capture_default_str();
}

}  // namespace quboprune
