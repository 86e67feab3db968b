#include "cli/base/prune_session.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <utility>

#include "cli/base/outputs.h"
#include "cli/base/score_store.h"
#include "core/index.h"
#include "core/text.h"
#include "core/threads.h"
#include "prune/calibration_parts.h"
#include "prune/candidates.h"
#include "prune/cross_fit.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/judged_outputs.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using nlohmann::json;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void Stages::begin(const std::string& name) {
  name_ = name;
  began_ = now();
}

void Stages::end() {
  list_.push_back({{"name", name_}, {"seconds", now() - began_}, {"peak_rss_bytes", peak_rss_bytes()}});
}

PruneSession::PruneSession(PruneArguments& arguments, const Context& context)
    : arguments_(arguments), context_(context) {
  auto& choose = arguments.choose;
  choose.capacity = arguments.capacity == "bisect" ? CapacityMode::bisect : CapacityMode::direct;
  choose.solver.threads = thread_count(context.threads);
  choose.solver.seed = choose.search.seed = choose.formulation.seed = context.seed;
  arguments.score.seed = arguments.refit.seed = context.seed;
  if (arguments.of_live && arguments.target.empty())
    throw InputError("--of-live says what --target is a part of: give --target too");
  model_ = stages_.run("load", [&] { return Model::load(arguments.model); });
  graph_ = with_computed_weights(runnable(model_.graph()));
  // Before the analysis, which takes open sizes from it.
  if (!arguments.data.source.empty()) stages_.run("data", [&] { load_data(); });
  groups_ = stages_.run("analyse", [&] { return analyse(graph_, arguments.layers); });
  if (groups_.size() == 0) {
    std::string why = groups_.frozen().empty() ? "it has no convolutions" : groups_.frozen().front().reason;
    throw InputError(arguments.model + ": nothing in this network can be pruned (" + why +
                     "); quboprune inspect says more");
  }
  for (const auto& f : groups_.frozen()) {
    if (!f.counted) notes_.push_back(f.reason + ": their MACs aren't counted, neither before nor after");
  }
  if (!arguments.work.empty()) make_folder(arguments.work, "--work");
  if (data_) make_evaluators();
}

void PruneSession::load_data() {
  data_ = arguments_.data.open(model_.graph(), context_.seed);
  judge_ = arguments_.data.judge(*data_, model_.graph());
  calibration_ = data_->samples(Part::calibration, context_.control);
  heldout_ = data_->samples(Part::heldout, context_.control);
  notes_ = data_->notes();
  if (!calibration_.empty()) arguments_.layers.sample = calibration_.front().input.sizes().vec();
}

void PruneSession::make_evaluators() {
  choose_outputs();
  EvaluatorOptions options;
  on_heldout_ = std::make_unique<MaskEvaluator>(groups_, heldout_, judge_, options, context_.control);
  on_calibration_ = std::make_unique<MaskEvaluator>(groups_, calibration_, judge_, options, context_.control);
}

/// Distances to the original count all outputs; targets belong to the first.
void PruneSession::choose_outputs() {
  const bool distance =
      judge_.loss == Loss::output && (judge_.metric == Metric::output || judge_.metric == Metric::loss);
  if (distance && !calibration_.empty()) {
    const auto inputs = network_inputs(graph_, calibration_.front().input.unsqueeze(0), judge_);
    Graph joined = with_joined_outputs(graph_, inputs);
    if (joined.outputs == graph_.outputs) return;
    graph_ = std::move(joined);
    groups_ = analyse(graph_, arguments_.layers);
    notes_.push_back(
        fmt::format("judged by {} values of the network together, each divided by its root mean square",
                    graph_.outputs.size() - 1));
    return;
  }
  if (graph_.outputs.front() != model_.graph().outputs.front())
    const Executor needs_the_first_output(model_.graph());  // says which operator can't be run
  if (const auto& outputs = model_.graph().outputs; !distance && outputs.size() > 1)
    notes_.push_back(fmt::format(
        "only the first of the network's {} outputs, '{}', is judged: the others may change as they like; "
        "--metric output --loss output judges all by their distance to the original's",
        outputs.size(), model_.graph().values[at_index(outputs.front())].name));
}

std::string PruneSession::fingerprint() const {
  if (calibration_digest_.empty()) calibration_digest_ = digest_of(calibration_);
  constexpr int kDefinition =
      3;  // of the scores: raised when they change, so that older ones aren't taken up
  const json key = {{"scores", kDefinition},
                    {"model", model_.sha256()},
                    {"data", calibration_digest_},
                    {"probes", arguments_.score.probes},
                    {"loss", name_of(judge_.loss)},
                    {"metric", name_of(judge_.metric)},
                    {"seed", context_.seed},
                    {"groups", groups_.size()},
                    {"fills", judge_.fills},
                    {"scope", arguments_.layers.scope},
                    {"freeze", arguments_.layers.freeze},
                    {"allow_empty", arguments_.layers.allow_empty}};
  return sha256_of_bytes(key.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Nothing can be chosen by figures that the original doesn't have.
void PruneSession::check_original() {
  if (dense_calibration_) return;
  const Score score = on_calibration_->score(graph_);
  check_score(score, calibration_, arguments_.model);
  dense_calibration_ = score.mean;
}

void PruneSession::find_scores(const std::string& objective) {
  const bool weights = objective == "taylor-weight";
  const auto serves = [&] {
    return scores_ && (!weights || !scores_->taylor_weight.empty() || scores_->label_free);
  };
  if (serves()) return;
  const auto path = std::filesystem::path(arguments_.work) / "scores.cbor";
  if (!arguments_.work.empty()) scores_ = stored_scores(path, fingerprint());
  if (serves()) return;
  arguments_.score.weight_gradients = weights;
  scores_ = stages_.run(
      "score", [&] { return score(groups_, calibration_, judge_, arguments_.score, context_.control); });
  for (std::size_t g = 0; g < scores_->l1.size(); ++g) {
    if (!std::isfinite(scores_->l1[g]))
      throw InputError(arguments_.model + ": the weights of '" + groups_.name(static_cast<int>(g)) +
                       "' hold NaN or infinity: train or export the network again");
  }
  check_original();
  if (!arguments_.work.empty()) store_scores(path, fingerprint(), *scores_);
}

const Scores& PruneSession::scores(const std::string& objective) {
  find_scores(objective);
  const auto dead = std::count(scores_->energy.begin(), scores_->energy.end(), 0.0);
  if (dead > 0 && !std::exchange(said_dead_groups_, true))
    notes_.push_back(std::to_string(dead) + " of " + std::to_string(groups_.size()) +
                     " groups are never active on the calibration data: they cost nothing to remove");
  return *scores_;
}

Target PruneSession::whole_target(const std::string& objective) {
  Target target = target_from_text(arguments_.target);
  if (!arguments_.of_live) return target;
  const Scores& s = scores(objective);
  Mask live(s.energy.size());
  std::ranges::transform(s.energy, live.begin(), [](double energy) { return energy > 0 ? 1 : 0; });
  const double all = groups_.cost().value(target.kind, Mask(live.size(), 1));
  const double part = groups_.cost().value(target.kind, live) / all;
  const double whole = 1 - (1 - target.removed) * part;
  notes_.push_back(
      fmt::format("--of-live: {:.1f} % of the {} are live; without {:g} of these go {:.1f} % of all",
                  100 * part, name_of(target.kind), target.removed, 100 * whole));
  target.removed = whole;
  return target;
}

void PruneSession::say_if_stopped() {
  if (context_.control.stopped())
    notes_.emplace_back("stopped before everything was done: this is the best so far");
}

std::filesystem::path PruneSession::kept_file(const std::string& name, const std::string& problem,
                                              const std::string& ending) const {
  if (arguments_.work.empty()) return {};
  return std::filesystem::path(arguments_.work) /
         (name + "-" + sha256_of_bytes(problem).substr(0, 12) + ending);
}

/// What a choice measures, for all targets alike.
std::shared_ptr<KeptValues> PruneSession::kept_values(bool repaired_quickly) const {
  if (arguments_.work.empty()) return std::make_shared<KeptValues>();
  constexpr int kDefinition =
      1;  // of the values: raised when they change, so that older ones aren't taken up
  const std::string problem =
      fmt::format("{} {} {} {} {} {}", kDefinition, fingerprint(), repaired_quickly, arguments_.refits(),
                  arguments_.refit_aware, arguments_.refine_samples);
  return std::make_shared<KeptValues>(kept_file("values", problem, ".cbor"), problem);
}

/// What the refinement measures: by races, so another search's values would be others.
void PruneSession::keep_refinement(ChooseOptions& options) const {
  if (arguments_.work.empty()) return;
  auto& search = options.search;
  search.problem = fmt::format("{} {} {} {} {} {} {} {}", fingerprint(), arguments_.target,
                               arguments_.of_live, arguments_.recover, arguments_.refit_aware,
                               arguments_.refine_samples, options.objective, options.refine);
  search.state = kept_file("refinement", search.problem, ".json");
}

void PruneSession::say_left_out(const GramCache& grams) {
  const auto& layers = grams.left_out();
  if (layers.empty() || std::exchange(said_left_out_, true)) return;
  notes_.push_back(fmt::format("{} {} too many inputs for the quick repair that masks are compared by: {}",
                               layers.size(), layers.size() == 1 ? "layer has" : "layers have",
                               fmt::join(layers, ", ")));
}

Choice PruneSession::choose(const ChooseOptions& options) {
  const Scores& s = scores(options.objective);
  const bool measures =
      options.refine != "none" || settings_for(options).size() > 1 || options.formulation.rounds > 1;
  const bool repaired = arguments_.refits();
  const CalibrationParts parts = calibration_parts(calibration_, repaired && arguments_.refit_aware);
  EvaluatorOptions with;
  with.refit = measures && repaired && arguments_.refit_aware;
  if (with.refit) {
    with.grams = std::make_shared<GramCache>(groups_, parts.fit, judge_, with.memory_limit, context_.control);
    say_left_out(*with.grams);
  }
  const MaskEvaluator evaluator(groups_, thinned(parts.search, arguments_.refine_samples), judge_, with,
                                context_.control);
  ChooseOptions checked = options;
  const auto kept = kept_values(with.refit);
  checked.formulator.kept = kept;
  // Masks that are repaired by what a stopped pass gathered have other values.
  if (!stopped()) keep_refinement(checked);
  checked.formulator.samples = calibration_;
  constexpr int kRoundSamples = 32;  // gradients near the network as it then is: more tell little
  checked.rounds.samples = thinned(calibration_, kRoundSamples);
  checked.rounds.layers = arguments_.layers;
  checked.rounds.score = arguments_.score;
  // Repair makes up for more than better gradients gain, and rounds of it fit the calibration data.
  if (repaired) checked.rounds.tried = 1;
  std::unique_ptr<MaskEvaluator> others;
  if (measures && !parts.check.empty()) {
    checked.compare = [&](std::span<const Mask> masks) {
      return shipped_values(groups_, masks, calibration_, judge_, repaired ? &arguments_.refit : nullptr,
                            *kept, context_.control);
    };
    others =
        std::make_unique<MaskEvaluator>(groups_, parts.check, judge_, EvaluatorOptions{}, context_.control);
    std::vector<Sample> seen = parts.search;
    if (with.refit) seen.insert(seen.end(), parts.fit.begin(), parts.fit.end());
    checked.check = [this, &others, repaired, seen, kept,
                     refitter = std::shared_ptr<Refitter>()](const Mask& mask) mutable {
      return kept->get("refined", mask, context_.control, [&] {
        if (!repaired) return others->score(slice(groups_, mask)).samples;
        if (!refitter)
          refitter = std::make_shared<Refitter>(groups_, seen, judge_, arguments_.refit, context_.control);
        return others->score((*refitter)(mask, context_.control).graph).samples;
      });
    };
  }
  Choice choice =
      stages_.run("choose", [&] { return choose_mask(groups_, s, evaluator, checked, context_.control); });
  for (const std::string& why : {kept->unsaved(), choice.search.unsaved}) {
    if (!why.empty()) notes_.push_back("what was measured isn't kept for another run: " + why);
  }
  return choice;
}

Recovery PruneSession::recover(const Mask& mask) const {
  Repair repair{groups_, mask, *data_, calibration_, judge_, arguments_.refit, arguments_.train};
  repair.train.crop = arguments_.data.options.crop;
  repair.train.seed = context_.seed;
  if (!arguments_.work.empty()) {
    // A folder for each mask, data and way of training: another one's state isn't taken up.
    const auto& train = repair.train;
    std::string key = fmt::format("{} {} {} {} {} ", fingerprint(), train.learning_rate, train.batch,
                                  train.feature_weight, train.crop);
    key += text_of(mask);
    repair.train.problem = sha256_of_bytes(key);
    repair.train.work = kept_file("finetune", key, "");
  }
  return recovered(arguments_.recover, repair, context_.control);
}

PruneSession::Outcome PruneSession::cut(const Mask& mask) {
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
  if (arguments_.recover != "none") {
    if (!data_) throw InputError("--recover " + arguments_.recover + " needs --data");
    Recovery recovery = stages_.run("recover", [&] { return recover(mask); });
    outcome.recovered = std::move(recovery.graph);
    outcome.refitted = std::move(recovery.refitted);
    outcome.recovery = std::move(recovery.report);
    notes_.insert(notes_.end(), recovery.notes.begin(), recovery.notes.end());
  }
  return outcome;
}

void PruneSession::save(const std::string& path, const Outcome& outcome, const std::string& objective) const {
  const Graph& file = model_.graph();
  Graph smaller = with_outputs_of(file, outcome.recovered ? *outcome.recovered : outcome.cut);
  smaller = with_weights_computed_as_in(file, graph_, std::move(smaller));
  const Graph shipped = without_dead_branches(file, std::move(smaller));
  std::map<std::string, std::string> metadata = {{"quboprune.version", QUBOPRUNE_VERSION},
                                                 {"quboprune.original_sha256", model_.sha256()},
                                                 {"quboprune.recover", arguments_.recover}};
  if (!arguments_.target.empty()) metadata["quboprune.target"] = arguments_.target;
  if (!objective.empty()) metadata["quboprune.objective"] = objective;
  model_.save(path, shipped, metadata);
}

json PruneSession::header(const std::string& command) const {
  const Mask all(static_cast<std::size_t>(groups_.size()), 1);
  json j;
  j["tool"] = {{"name", "quboprune"}, {"version", QUBOPRUNE_VERSION}};
  j["command"] = command;
  j["seed"] = context_.seed;
  j["model"] = {{"path", arguments_.model},
                {"sha256", model_.sha256()},
                {"parameters", groups_.cost().value(Cost::params, all)},
                {"macs", groups_.cost().value(Cost::macs, all)},
                {"filters", groups_.size()},
                {"analysed_size", groups_.analysed_size()}};
  if (!data_) return j;
  j["data"] = describe(*data_);
  j["data"]["heldout"] = json::array();  // those that were measured, as their values come
  for (const Sample& sample : heldout_) j["data"]["heldout"].push_back(sample.name);
  return j;
}

json PruneSession::result(const Mask& mask, const Outcome& outcome) {
  const Mask all(mask.size(), 1);
  const auto& cost = groups_.cost();
  json j = {{"parameters", cost.value(Cost::params, mask)},
            {"macs", cost.value(Cost::macs, mask)},
            {"filters", kept_count(mask)},
            {"groups_kept", kept_count(mask)},
            {"groups_total", groups_.size()}};
  if (!arguments_.target.empty()) {
    const Target target = target_from_text(arguments_.target);
    j["removed_fraction_actual"] = 1 - cost.value(target.kind, mask) / cost.value(target.kind, all);
    if (target.kind != Cost::filters) j["slack"] = allowance(groups_, target) - cost.value(target.kind, mask);
  } else {
    j["removed_fraction_actual"] = 1 - static_cast<double>(kept_count(mask)) / groups_.size();
  }
  if (!data_) return j;
  return stages_.run("evaluate", [&] {
    check_original();
    if (!dense_heldout_) dense_heldout_ = on_heldout_->score(graph_).mean;
    json metric = {{"name", name_of(judge_.metric)}};
    metric["calibration"] = {{"dense", number(*dense_calibration_)},
                             {"pruned", number(on_calibration_->score(outcome.cut).mean)}};
    const Score pruned = on_heldout_->score(outcome.cut);
    metric["heldout"] = {{"dense", number(*dense_heldout_)}, {"pruned", number(pruned.mean)}};
    metric["heldout"]["samples"] = {{"pruned", pruned.samples}};
    if (outcome.refitted) {
      metric["calibration"]["refitted"] = number(on_calibration_->score(*outcome.refitted).mean);
      metric["heldout"]["refitted"] = number(on_heldout_->score(*outcome.refitted).mean);
    }
    if (outcome.recovered) {
      metric["calibration"]["recovered"] = number(on_calibration_->score(*outcome.recovered).mean);
      const Score recovered = on_heldout_->score(*outcome.recovered);
      metric["heldout"]["recovered"] = number(recovered.mean);
      metric["heldout"]["samples"]["recovered"] = recovered.samples;
    }
    j["metric"] = metric;
    return j;
  });
}

json PruneSession::layers(const Mask& mask) const {
  json list = json::array();
  for (const auto& layer : groups_.layers()) {
    std::vector<std::int64_t> kept;
    for (std::size_t i = 0; i < layer.groups.size(); ++i) {
      if (layer.groups[i] < 0 || mask[static_cast<std::size_t>(layer.groups[i])] != 0)
        kept.push_back(static_cast<std::int64_t>(i));
    }
    list.push_back({{"name", layer.name},
                    {"channels", layer.groups.size()},
                    {"kept", kept.size()},
                    {"kept_indices", kept}});
  }
  return list;
}

namespace {

json solver_json(const SolverResult& solved) {
  const double energy = solved.pool.front().energy;
  json j = {{"name", solved.method},     {"energy", number(energy)}, {"bound", number(solved.bound)},
            {"seconds", solved.seconds}, {"flips", solved.moves},    {"reason", solved.reason}};
  j["gap"] = std::isfinite(solved.bound) && energy != 0 ? json((energy - solved.bound) / std::abs(energy))
                                                        : json(nullptr);
  return j;
}

/// What auto found.
void add_trust(json& report, const Choice& choice, const MaskEvaluator& evaluator) {
  if (!choice.reason.empty()) report["reason"] = choice.reason;
  if (choice.trust.correlations.empty()) return;
  json points = json::array();
  for (std::size_t k = 0; k < choice.trust.values.size(); ++k)
    points.push_back({{"metric", number(evaluator.metric(choice.trust.values[k]))}});
  for (std::size_t i = 0; i < choice.trust.correlations.size(); ++i) {
    const auto& [objective, correlation] = choice.trust.correlations[i];
    report["trust"][objective] = number(correlation);
    for (std::size_t k = 0; k < points.size(); ++k)
      points[k]["energy"][objective] = number(choice.trust.energies[i][k]);
  }
  report["trust_points"] = points;
}

json refinement_json(const Choice& choice, const std::string& method, const MaskEvaluator& evaluator) {
  json history = json::array();
  for (const auto& point : choice.search.history)
    history.push_back({{"evaluations", point.evaluations}, {"best", number(evaluator.metric(point.best))}});
  json j = {{"name", method},
            {"evaluations", choice.search.evaluations},
            {"seconds", choice.search.seconds},
            {"start", number(choice.start)},
            {"best", number(choice.best)},
            {"history", history},
            {"reason", choice.search.reason}};
  if (std::isfinite(choice.check_start))
    j["check"] = {
        {"start", choice.check_start}, {"best", choice.check_best}, {"seed_kept", choice.seed_kept}};
  return j;
}

}  // namespace

void add_choice(json& report, const Choice& choice, const std::string& refine,
                const MaskEvaluator& evaluator) {
  report["solver"] = solver_json(choice.solved);
  if (!choice.tried.empty()) report["tried"] = json::array();
  for (const auto& [text, value] : choice.tried)
    report["tried"].push_back({{"setting", text}, {"calibration", number(value)}});
  add_trust(report, choice, evaluator);
  if (choice.refined) report["refinement"] = refinement_json(choice, refine, evaluator);
}

}  // namespace quboprune
