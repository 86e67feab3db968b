#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/base/data_arguments.h"
#include "cli/base/recovery.h"
#include "cli/commands.h"
#include "quboprune/model.h"
#include "quboprune/prune.h"

namespace quboprune {

/// Takes "auto" and these names.
CLI::Validator auto_or(std::vector<std::string> names);

/// What prune, compare, apply and formulate share: which network, which data, which target, how.
struct PruneArguments {
  std::string model, target, work, recover = "none";
  bool of_live = false;  ///< the target is a part of what is left without dead groups
  DataArguments data;
  AnalyseOptions layers;
  ChooseOptions choose;
  ScoreOptions score;
  RefitOptions refit;
  bool refit_aware = true;  ///< refinement against the metric after refit, where --recover refit
  int refine_samples = 0;   ///< calibration samples for refinement; 0: all
  FinetuneOptions train = distillation();  ///< for --recover finetune
  std::string capacity = "direct";

  void add_network_and_data(CLI::App& command, bool data_required);
  void add_choice(CLI::App& command);
  void add_recovery(CLI::App& command);
  /// Layers behind the cut get new weights by least squares, whatever follows.
  bool refits() const { return recover == "refit" || recover == "finetune"; }
};

/// A stage's name, time and the process's peak memory when it ended.
class Stages {
 public:
  template <class F>
  auto run(const std::string& name, F&& f) {
    begin(name);
    struct End {
      Stages& stages;
      ~End() { stages.end(); }
    } end{*this};
    return f();
  }
  const nlohmann::json& json() const { return list_; }

 private:
  void begin(const std::string& name);
  void end();
  nlohmann::json list_ = nlohmann::json::array();
  std::string name_;
  double began_ = 0;
};

/// A network with its data, analysed and scored: what every method starts from.
class PruneSession {
 public:
  PruneSession(PruneArguments& arguments, const Context& context);

  const Model& model() const { return model_; }
  const ChannelGroups& groups() const { return groups_; }
  /// What the objective needs, from --work where that has it.
  const Scores& scores(const std::string& objective);
  /// All that scores depend on: network, data, options. Stage results under another one aren't taken up.
  std::string fingerprint() const;
  const std::vector<Sample>& calibration() const { return calibration_; }
  const MaskEvaluator& on_calibration() const { return *on_calibration_; }
  const MaskEvaluator& on_heldout() const { return *on_heldout_; }
  const Judge& judge() const { return judge_; }
  Stages& stages() { return stages_; }
  std::vector<std::string>& notes() { return notes_; }
  /// Notes it where Ctrl-C has ended something early.
  void say_if_stopped();
  bool stopped() const { return context_.control.stopped(); }

  /// The target that --target names, as a part of the whole network also where --of-live asks for one of its
  /// live part.
  Target whole_target(const std::string& objective);
  Choice choose(const ChooseOptions& options);
  /// The cut network after --recover; throws InputError if the cut one doesn't equal the masked one.
  struct Outcome {
    Graph cut;
    std::optional<Graph> recovered;
    std::optional<Graph> refitted;  ///< what training started from
    nlohmann::json recovery, equivalence;
  };
  Outcome cut(const Mask& mask);
  /// Writes the network as it ships, with the file's own outputs and metadata that say what was done.
  void save(const std::string& path, const Outcome& outcome, const std::string& objective) const;

  nlohmann::json header(const std::string& command) const;
  /// The "result" part: sizes, and the metric of each stage on both parts.
  nlohmann::json result(const Mask& mask, const Outcome& outcome);
  nlohmann::json layers(const Mask& mask) const;
  nlohmann::json removed(const Choice& choice);
  nlohmann::json images(const Outcome& outcome) const;
  /// The "latency" part of a network that was written: beside the original, in ONNX Runtime. Empty where that
  /// isn't at hand, where work was stopped, or where it couldn't time both, which is noted.
  nlohmann::json latency(const std::string& written);

 private:
  void check_original();
  void find_scores(const std::string& objective);
  void load_data();
  void make_evaluators();
  void choose_outputs();
  /// A file or folder of --work for each question, so that others neither take it up nor overwrite it; empty
  /// without --work.
  std::filesystem::path kept_file(const std::string& name, const std::string& problem,
                                  const std::string& ending) const;
  std::shared_ptr<KeptValues> kept_values(bool repaired_quickly) const;
  void keep_refinement(ChooseOptions& options) const;
  void say_left_out(const GramCache& grams);
  Recovery recover(const Mask& mask) const;

  PruneArguments& arguments_;
  const Context& context_;
  Stages stages_;
  std::vector<std::string> notes_;
  bool said_dead_groups_ = false, said_left_out_ = false;
  mutable std::string calibration_digest_;  ///< made when it is first asked for: whole images take seconds
  Model model_;
  Graph graph_;  ///< the model's, with the outputs that it is judged by
  ChannelGroups groups_;
  std::unique_ptr<Dataset> data_;
  Judge judge_;
  std::vector<Sample> calibration_, heldout_;
  std::unique_ptr<MaskEvaluator> on_calibration_, on_heldout_;
  std::optional<Scores> scores_;
  std::optional<double> dense_calibration_, dense_heldout_;  // the original's metric
};

/// Adds to a report how the mask was found and what speaks for it: "solver", "tried", "trust",
/// "trust_points", "reason", "refinement" (by the method `refine`).
void add_choice(nlohmann::json& report, const Choice& choice, const std::string& refine,
                const MaskEvaluator& evaluator);

}  // namespace quboprune
