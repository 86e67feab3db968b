#include "cli/base/prune_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "cli/base/outputs.h"
#include "core/index.h"
#include "core/text.h"
#include "core/threads.h"
#include "judging/cross_fit.h"
#include "quboprune/batches.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/judged_outputs.h"
#include "quboprune/metrics.h"
#include "quboprune/surgery.h"

namespace quboprune {

using nlohmann::json;

PruneSession::PruneSession(PruneArguments& arguments, const Context& context)
    : arguments_(arguments), context_(context) {
  auto& choose = arguments.choose;
  choose.capacity = arguments.capacity == "bisect" ? CapacityMode::bisect : CapacityMode::direct;
  choose.solver.threads = thread_count(context.threads);
  choose.solver.seed = choose.search.seed = choose.formulation.seed = context.seed;
  choose.formulator.reconstruction.seed = arguments.score.seed = arguments.refit.seed = context.seed;
  if (arguments.of_live && arguments.target.empty())
    throw InputError("--of-live says what --target is a part of: give --target too");
  model_ = stages_.run("load", [&] { return Model::load(arguments.model); });
  graph_ = as_pruned(model_.graph());
  // Before the analysis, which takes open sizes from it.
  if (!arguments.data.source.empty()) stages_.run("data", [&] { load_data(); });
  groups_ = stages_.run("analyse", [&] { return analyse(graph_, arguments.layers); });
  if (groups_.size() == 0) {
    std::string why = groups_.frozen().empty() ? "it has no layers" : groups_.frozen().front().reason;
    throw InputError(arguments.model + ": nothing in this network can be pruned (" + why +
                     "); quboprune inspect says more");
  }
  for (const auto& f : groups_.frozen()) {
    if (!f.counted) note(f.reason + ": their MACs aren't counted, neither before nor after");
  }
  if (graph_.stand_ins)
    note(
        "outputs behind operators that can't be run are judged by what these operators read: figures of "
        "quality are of that, not of the outputs");
  if (!arguments.work.empty()) work_ = WorkFolder(arguments.work);
  if (data_) make_evaluators();
}

void PruneSession::load_data() {
  data_ = arguments_.data.open(model_.graph(), context_.seed);
  judge_ = arguments_.data.judge(*data_, model_.graph());
  calibration_ = data_->samples(Part::calibration, context_.control);
  heldout_ = data_->samples(Part::heldout, context_.control);
  notes_ = data_->notes();
  note(arguments_.data.without_say());
  note(DataArguments::classes_say(*data_, model_.graph()));
  if (data_->target_kind() == TargetKind::none &&
      (judge_.metric == Metric::psnr || judge_.metric == Metric::ssim))
    note("there are no targets: " + name_of(judge_.metric) + " is that of the original's outputs");
  if (!calibration_.empty()) arguments_.layers.sample = sizes_of(calibration_.front());
}

void PruneSession::make_evaluators() {
  choose_outputs();
  on_heldout_.emplace(graph_, heldout_, judge_, context_.control);
  on_calibration_.emplace(graph_, calibration_, judge_, context_.control);
}

/// Distances to the original count all outputs; targets belong to the first.
void PruneSession::choose_outputs() {
  const bool distance = judge_.loss == Loss::output && measures_distance(judge_);
  if (distance && !calibration_.empty()) {
    const auto inputs = network_inputs(graph_, batches(std::span(calibration_).first(1)).front(), judge_);
    Graph joined = with_joined_outputs(graph_, inputs);
    if (joined.outputs == graph_.outputs) return;
    graph_ = std::move(joined);
    groups_ = analyse(graph_, arguments_.layers);
    note(fmt::format("judged by {} values of the network together, each divided by its root mean square",
                     graph_.outputs.size() - 1));
    return;
  }
  if (graph_.outputs.front() != model_.graph().outputs.front())
    const Executor needs_the_first_output(model_.graph());  // says which operator can't be run
  if (const auto& outputs = model_.graph().outputs; !distance && outputs.size() > 1)
    note(fmt::format(
        "only the first of the network's {} outputs, '{}', is judged: the others may change as they like; "
        "--metric output --loss output judges all by their distance to the original's",
        outputs.size(), model_.graph().values[at_index(outputs.front())].name));
}

void PruneSession::note(const std::string& sentence) {
  const auto said = [&](const std::string& note) { return std::ranges::find(notes_, note) != notes_.end(); };
  const std::string labelled = label_.empty() ? sentence : label_ + ": " + sentence;
  if (!sentence.empty() && !said(sentence) && !said(labelled)) notes_.push_back(labelled);
}

void PruneSession::label(const std::string& which) {
  label_ = which;
  stages_.label(which);
}

const Score& PruneSession::dense(Part part, const Control& control) {
  if (part == Part::heldout) {
    if (!dense_heldout_) dense_heldout_ = on_heldout_->score(graph_, control);
    return *dense_heldout_;
  }
  if (!dense_calibration_) {
    Score score = on_calibration_->score(graph_, control);
    check_score(score, calibration_, arguments_.model);
    dense_calibration_ = std::move(score);
  }
  return *dense_calibration_;
}

std::string PruneSession::fingerprint() const {
  if (calibration_digest_.empty()) calibration_digest_ = digest_of(calibration_);
  constexpr int kDefinition =
      5;  // of the scores: raised when they change, so that older ones aren't taken up
  const json key = {{"scores", kDefinition},
                    {"model", model_.sha256()},
                    {"data", calibration_digest_},
                    {"probes", arguments_.score.probes},
                    {"loss", name_of(judge_.loss)},
                    {"metric", name_of(judge_.metric)},
                    {"peak", judge_.peak},
                    {"seed", context_.seed},
                    {"groups", groups_.size()},
                    {"fills", judge_.fills},
                    {"scope", arguments_.layers.scope},
                    {"freeze", arguments_.layers.freeze},
                    {"allow_empty", arguments_.layers.allow_empty},
                    {"shrink_norms", arguments_.layers.shrink_norms}};
  return sha256_of_bytes(key.dump(-1, ' ', false, json::error_handler_t::replace));
}

void PruneSession::find_scores(const std::string& objective) {
  const bool weights = objective != "auto" && objective_named(objective).weight_gradients;
  const bool centred = arguments_.score.centred = arguments_.choose.formulation.centred;
  const auto serves = [&] {
    return scores_ && (!weights || !scores_->taylor_weight.empty() || scores_->label_free) &&
           (!centred || scores_->similarity.empty() || !scores_->similarity.front().pearson.empty());
  };
  if (serves()) return;
  scores_ = work_.scores(fingerprint());
  if (serves()) return;
  arguments_.score.weight_gradients = weights;
  scores_ = stages_.run(
      "score", [&] { return score(groups_, calibration_, judge_, arguments_.score, context_.control); });
  for (std::size_t g = 0; g < scores_->l1.size(); ++g) {
    if (!std::isfinite(scores_->l1[g]))
      throw InputError(arguments_.model + ": the weights of '" + groups_.name(static_cast<int>(g)) +
                       "' hold NaN or infinity: train or export the network again");
  }
  dense(Part::calibration);
  const std::string unsaved = work_.keep(*scores_, fingerprint());
  if (!unsaved.empty()) note("the scores aren't kept for another run: " + unsaved);
}

const Scores& PruneSession::scores(const std::string& objective) {
  find_scores(objective);
  const auto dead = std::count(scores_->energy.begin(), scores_->energy.end(), 0.0);
  if (dead > 0)
    note(std::to_string(dead) + " of " + std::to_string(groups_.size()) +
         " groups are never active on the calibration data: they cost nothing to remove");
  const auto large = std::ranges::count_if(
      groups_.layers(), [](const Layer& layer) { return layer.groups.size() > kMostCompared; });
  if (large > 0)
    note(fmt::format("{} more than {} groups, which aren't compared with each other",
                     large == 1 ? "a layer has" : std::to_string(large) + " layers have", kMostCompared));
  return *scores_;
}

Target PruneSession::find_target(const std::string& objective) {
  target_ = target_from_text(arguments_.target);
  if (target_->kind != Cost::filters && arguments_.choose.solver.method == "anneal")
    throw InputError(
        "--solver anneal keeps counts, not costs: take another one, or --target filters=FRACTION");
  if (!arguments_.of_live) return *target_;
  Target& target = *target_;
  const Scores& s = scores(objective);
  Mask live(s.energy.size());
  std::ranges::transform(s.energy, live.begin(), [](double energy) { return energy > 0 ? 1 : 0; });
  const double all = groups_.cost().value(target.kind, Mask(live.size(), 1));
  const double part = groups_.cost().value(target.kind, live) / all;
  const double whole = 1 - (1 - target.removed) * part;
  note(fmt::format("--of-live: {:.1f} % of the {} are live; without {:g} of these go {:.1f} % of all",
                   100 * part, name_of(target.kind), target.removed, 100 * whole));
  target.removed = whole;
  return target;
}

std::string PruneSession::of_values() const {
  return fmt::format("{} {} {} {}", fingerprint(), arguments_.refits(), arguments_.refit_aware,
                     arguments_.refine_samples);
}

namespace {

/// What decides which mask a refinement starts from.
std::string where_it_starts(const ChooseOptions& o) {
  const auto& f = o.formulation;
  const json settings = {
      o.objective, o.tune,     f.taylor,        f.fisher,         f.redundancy,
      f.centred,   f.cross,    f.penalty,       f.per_layer,      o.rounds.asked,
      o.round_to,  o.capacity, o.solver.method, o.solver.seconds, o.formulator.measure_samples};
  return settings.dump();
}

/// Means over channels that lose some, but not all.
std::ptrdiff_t shrunk_means(const ChannelGroups& groups, const Mask& mask) {
  return std::ranges::count_if(groups.gates(), [&](const GatePoint& gate) {
    const int kept = places_left(gate.groups, mask);
    return gate.averages && kept > 0 && kept < std::ssize(gate.groups);
  });
}

}  // namespace

const std::shared_ptr<KeptValues>& PruneSession::kept_values() {
  if (kept_values_) return kept_values_;
  if (arguments_.work.empty()) return kept_values_ = std::make_shared<KeptValues>();
  constexpr int kDefinition = 4;  // of the values: raised when they change, so that older ones aren't taken
  const std::string values = fmt::format("{} {}", kDefinition, of_values());
  return kept_values_ = std::make_shared<KeptValues>(work_.place("values", values, ".cbor"), values);
}

double PruneSession::as_it_would_ship(const Mask& mask) {
  KeptValues alone;  // what is kept is by the metric that decides
  KeptValues& kept = deciding(judge_).metric == judge_.metric ? *kept_values() : alone;
  const RefitOptions* refit = arguments_.refits() ? &arguments_.refit : nullptr;
  if (refit != nullptr && calibration_.size() < 2)
    throw InputError(
        "a single calibration sample can't judge a repair that is fitted on it: give more data, or a larger "
        "--calibration");
  const auto values = stages_.run("judge as it would ship", [&] {
    return shipped_values(groups_, {&mask, 1}, calibration_, judge_, refit, kept, context_.control);
  });
  if (values.front().size() != calibration_.size())
    throw Stopped("stopped before the network was judged as it would ship");
  return mean(values.front());
}

Choice PruneSession::choose(const ChooseOptions& options) {
  const Scores& s = scores(options.objective);
  ChooseOptions kept = options;
  kept.formulator.kept = kept_values();
  if (!arguments_.work.empty()) {
    // A refinement measures by races, so another search's values would be others.
    kept.search.problem = fmt::format("{} {} {} {} {}", of_values(), arguments_.target, arguments_.of_live,
                                      options.refine, where_it_starts(options));
    kept.search.state = work_.place("refinement", kept.search.problem, ".json");
  }
  kept.rounds.layers = arguments_.layers;
  kept.rounds.score = arguments_.score;
  const Shipping shipping{.refit = arguments_.refits() ? &arguments_.refit : nullptr,
                          .refit_aware = arguments_.refit_aware,
                          .search_samples = arguments_.refine_samples};
  Choice choice = stages_.run("choose", [&] {
    dense(Part::heldout, context_.control);  // data that can't be judged are named before long work
    return choose_mask_to_ship(groups_, s, calibration_, judge_, kept, shipping, context_.control);
  });
  for (const auto& sentence : choice.notes) note(sentence);
  return choice;
}

Recovery PruneSession::recover(const Mask& mask) const {
  Repair repair{groups_, mask, *data_, calibration_, judge_, arguments_.refit, arguments_.train};
  repair.train.crop = arguments_.data.options.crop;
  repair.train.seed = context_.seed;
  if (!arguments_.work.empty()) {
    // A folder for each mask, data and way of training: another one's state isn't taken up.
    const auto& train = repair.train;
    std::string key = fmt::format("{} {} {} ", fingerprint(), train.steps, training_settings(train));
    key += text_of(mask);
    repair.train.problem = sha256_of_bytes(key);
    repair.train.work = work_.place("finetune", key, "");
  }
  return recovered(arguments_.recover, repair, context_.control);
}

PruneSession::Outcome PruneSession::cut(const Mask& mask) {
  if (data_) dense(Part::heldout);  // nothing is written before data that can't be judged are named
  Outcome outcome;
  outcome.cut = stages_.run("rebuild", [&] { return slice(groups_, mask); });
  const Equivalence equal = stages_.run("verify", [&] { return verify(groups_, mask, outcome.cut); });
  outcome.equivalence = {{"max_abs_difference", number(equal.max_abs_difference)},
                         {"tolerance", equal.tolerance},
                         {"shapes", equal.shapes}};
  if (!equal.holds()) {
    throw InternalError("the smaller network differs from the masked one by " +
                        std::to_string(equal.max_abs_difference) +
                        " (allowed: " + std::to_string(equal.tolerance) + "), first at " +
                        (equal.where.empty() ? "an output" : equal.where) +
                        "; nothing was written. Please report this network's structure");
  }
  if (const auto shrunk = shrunk_means(groups_, mask))
    note(
        fmt::format("means over channels, in layer norms and the like, are those of the channels that stay "
                    "({} in all), and "
                    "so they are in the masked original of the equivalence",
                    shrunk));
  if (arguments_.recover != "none") {
    if (!data_) throw InputError("--recover " + arguments_.recover + " needs --data");
    Recovery recovery = stages_.run("recover", [&] { return recover(mask); });
    outcome.recovered = std::move(recovery.graph);
    outcome.refitted = std::move(recovery.refitted);
    outcome.recovery = std::move(recovery.report);
    for (const auto& sentence : recovery.notes) note(sentence);
  }
  return outcome;
}

void PruneSession::save(const std::string& path, const Outcome& outcome, const std::string& objective) const {
  const Graph& file = model_.graph();
  Graph smaller = with_outputs_of(file, outcome.shipped());
  smaller = with_weights_computed_as_in(file, graph_, std::move(smaller));
  const Graph shipped = without_dead_branches(file, std::move(smaller));
  std::map<std::string, std::string> metadata = {{"quboprune.version", QUBOPRUNE_VERSION},
                                                 {"quboprune.original_sha256", model_.sha256()},
                                                 {"quboprune.recover", arguments_.recover}};
  if (!arguments_.target.empty()) metadata["quboprune.target"] = arguments_.target;
  if (!objective.empty()) metadata["quboprune.objective"] = objective;
  model_.save(path, shipped, metadata);
}

}  // namespace quboprune
