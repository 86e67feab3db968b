#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/base/prune_arguments.h"
#include "cli/base/stages.h"
#include "cli/base/work_folder.h"
#include "cli/commands.h"
#include "quboprune/evaluation.h"
#include "quboprune/model.h"
#include "quboprune/prune.h"

namespace quboprune {

/// A network with its data, analysed: what prune, sweep, compare, apply and formulate start from, and the
/// stages that they share. What a report says of it is in prune_report.h.
class PruneSession {
 public:
  PruneSession(PruneArguments& arguments, const Context& context);

  const PruneArguments& arguments() const { return arguments_; }
  const Context& context() const { return context_; }
  const Model& model() const { return model_; }
  /// The model's, with the outputs that it is judged by.
  const Graph& graph() const { return graph_; }
  const ChannelGroups& groups() const { return groups_; }
  const Dataset* data() const { return data_.get(); }  ///< nullptr without --data; then nothing is judged
  const std::vector<Sample>& calibration() const { return calibration_; }
  const std::vector<Sample>& heldout() const { return heldout_; }
  const NetworkJudge& on_calibration() const { return *on_calibration_; }
  const NetworkJudge& on_heldout() const { return *on_heldout_; }
  const Judge& judge() const { return judge_; }
  Stages& stages() { return stages_; }
  /// Which of several networks what comes is of: its stages and notes say so. Empty: of all.
  void label(const std::string& which);
  const std::vector<std::string>& notes() const { return notes_; }
  /// For the report; what was said already isn't repeated, nor what is empty.
  void note(const std::string& sentence);
  /// Why a file that was written is of no use; empty where none is.
  const std::string& unusable() const { return unusable_; }
  void say_unusable(const std::string& why) { unusable_ = why; }
  bool stopped() const { return context_.control.stopped(); }

  /// The original's metric on a part. Throws InputError where it has none on the calibration data: nothing
  /// can be chosen by figures that the original doesn't have, or where samples can't be judged (labels that
  /// it doesn't know, sizes that it doesn't take); Stopped if it is stopped.
  const Score& dense(Part part, const Control& control = {});
  /// What the objective needs, from --work where that has it.
  const Scores& scores(const std::string& objective);
  /// The target that --target names, as a part of the whole network also where --of-live asks for one of its
  /// live part.
  Target find_target(const std::string& objective);
  /// That target, once it was asked for, or a plan's.
  const std::optional<Target>& target() const { return target_; }
  void set_target(const Target& target) { target_ = target; }
  /// Values that are known of any target's and method's masks, from --work too.
  const std::shared_ptr<KeptValues>& kept_values();
  Choice choose(const ChooseOptions& options);
  /// The mean metric, on the calibration data, of the network that a mask leaves as it would ship: after the
  /// refit where one follows, without training, no scene judged by a repair that was fitted on it
  /// (cross_fit.h). Throws Stopped where not all samples were judged, InputError where a single one can't be.
  double as_it_would_ship(const Mask& mask);
  struct Outcome {
    Graph cut;
    std::optional<Graph> recovered;
    std::optional<Graph> refitted;  ///< what training started from
    nlohmann::json recovery, equivalence;
    const Graph& shipped() const { return recovered ? *recovered : cut; }
  };
  /// The cut network after --recover; throws InternalError if the cut one doesn't equal the masked one.
  Outcome cut(const Mask& mask);
  /// Writes the network as it ships, with the file's own outputs and metadata that say what was done.
  void save(const std::string& path, const Outcome& outcome, const std::string& objective) const;

 private:
  void load_data();
  void make_evaluators();
  void choose_outputs();
  void find_scores(const std::string& objective);
  /// All that scores depend on: network, data, options. Stage results under another one aren't taken up.
  std::string fingerprint() const;
  /// What else the values of masks depend on.
  std::string of_values() const;
  Recovery recover(const Mask& mask) const;

  PruneArguments& arguments_;
  const Context& context_;
  Stages stages_;
  std::vector<std::string> notes_;
  std::string unusable_, label_;
  mutable std::string calibration_digest_;  ///< made when it is first asked for: whole images take seconds
  Model model_;
  Graph graph_;
  ChannelGroups groups_;
  std::unique_ptr<Dataset> data_;
  Judge judge_;
  std::vector<Sample> calibration_, heldout_;
  std::optional<NetworkJudge> on_calibration_, on_heldout_;
  WorkFolder work_;
  std::shared_ptr<KeptValues> kept_values_;  ///< made when they are first asked for
  std::optional<Target> target_;
  std::optional<Scores> scores_;
  std::optional<Score> dense_calibration_, dense_heldout_;
};

}  // namespace quboprune
