#include "cli/base/prune_report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "cli/base/latency.h"
#include "cli/base/model_report.h"
#include "cli/base/outputs.h"
#include "cli/base/solve_report.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/metrics.h"

namespace quboprune {
namespace {

using nlohmann::json;

json solver_json(const SolverResult& solved) {
  const double energy = solved.pool.front().energy;
  json j = {{"name", solved.method},     {"energy", number(energy)}, {"bound", number(solved.bound)},
            {"seconds", solved.seconds}, {"flips", solved.moves},    {"reason", solved.reason}};
  j["gap"] = relative_gap(energy, solved.bound);
  return j;
}

/// What auto found.
void add_trust(json& report, const PruneSession& session, const Choice& choice) {
  if (!choice.reason.empty()) report["reason"] = choice.reason;
  if (choice.trust.correlations.empty()) return;
  const Metric metric = deciding(session.judge()).metric;
  json points = json::array();
  for (const double value : choice.trust.values)
    points.push_back({{"metric", number(metric_of(value, metric))}});
  for (std::size_t i = 0; i < choice.trust.correlations.size(); ++i) {
    const auto& [objective, correlation] = choice.trust.correlations[i];
    report["trust"][objective] = number(correlation);
    for (std::size_t k = 0; k < points.size(); ++k)
      points[k]["energy"][objective] = number(choice.trust.energies[i][k]);
  }
  report["trust_points"] = points;
}

json refinement_json(const Judge& judge, const Refinement& r, const std::string& method) {
  json history = json::array();
  for (const auto& point : r.search.history)
    history.push_back(
        {{"evaluations", point.evaluations}, {"best", number(metric_of(point.best, judge.metric))}});
  json j = {{"name", method},
            {"evaluations", r.search.evaluations},
            {"seconds", r.search.seconds},
            {"start", number(r.start)},
            {"best", number(r.best)},
            {"history", history},
            {"reason", r.search.reason}};
  if (r.check)
    j["check"] = {
        {"start", number(r.check->start)}, {"best", number(r.check->best)}, {"seed_kept", r.seed_kept}};
  return j;
}

/// What the held-out metric gained over the original's, with the interval that scenes like these leave open;
/// null where they are too few for one, also served to choose by, or a value isn't finite.
json change_json(const PruneSession& session, const Score& dense, const Score& shipped) {
  constexpr double kConfidence = 0.95;
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(dense.samples, finite) || !std::ranges::all_of(shipped.samples, finite))
    return nullptr;
  const std::vector<std::string> scenes = scene_of_each(session.heldout());
  const std::set<std::string> distinct(scenes.begin(), scenes.end());
  const auto held_out = [&](const Sample& sample) { return !distinct.contains(sample.scene); };
  if (distinct.size() < 2 || !std::ranges::all_of(session.calibration(), held_out)) return nullptr;
  const Interval interval = paired_interval(shipped.samples, dense.samples, kConfidence, scenes);
  return {{"mean", interval.mean},
          {"low", interval.low},
          {"high", interval.high},
          {"confidence", kConfidence},
          {"scenes", distinct.size()}};
}

json metric_json(PruneSession& session, const PruneSession::Outcome& outcome) {
  const auto& calibration = session.on_calibration();
  const auto& heldout = session.on_heldout();
  json metric = {{"name", name_of(session.judge().metric)}};
  metric["calibration"] = {{"dense", number(session.dense(Part::calibration).mean)},
                           {"pruned", number(calibration.score(outcome.cut).mean)}};
  const Score pruned = heldout.score(outcome.cut);
  const Score& dense = session.dense(Part::heldout);
  metric["heldout"] = {{"dense", number(dense.mean)}, {"pruned", number(pruned.mean)}};
  metric["heldout"]["samples"] = {{"dense", dense.samples}, {"pruned", pruned.samples}};
  metric["heldout"]["change"] = change_json(session, dense, pruned);
  if (outcome.refitted) {
    metric["calibration"]["refitted"] = number(calibration.score(*outcome.refitted).mean);
    metric["heldout"]["refitted"] = number(heldout.score(*outcome.refitted).mean);
  }
  if (outcome.recovered) {
    metric["calibration"]["recovered"] = number(calibration.score(*outcome.recovered).mean);
    const Score recovered = heldout.score(*outcome.recovered);
    metric["heldout"]["recovered"] = number(recovered.mean);
    metric["heldout"]["samples"]["recovered"] = recovered.samples;
    metric["heldout"]["change"] = change_json(session, dense, recovered);
  }
  return metric;
}

}  // namespace

json report_header(const PruneSession& session, const std::string& command) {
  json j = report_head(command, session.context());
  j["model"] = model_json(session.arguments().model, session.model(), session.groups());
  if (session.data() == nullptr) return j;
  j["data"] = describe(*session.data());
  j["data"]["calibration"] = names_of(session.calibration());
  j["data"]["heldout"] = json::array();  // those that were measured, as their values come
  for (const Sample& sample : session.heldout()) j["data"]["heldout"].push_back(sample.name);
  return j;
}

json target_json(const Target& target) {
  return {{"kind", name_of(target.kind)}, {"removed_fraction", target.removed}};
}

json result_json(PruneSession& session, const Mask& mask, const PruneSession::Outcome& outcome) {
  const ChannelGroups& groups = session.groups();
  const auto& cost = groups.cost();
  json j = {{"parameters", count_of(groups, Cost::params, mask)},
            {"macs", count_of(groups, Cost::macs, mask)},
            {"filters", kept_count(mask)},
            {"groups_kept", kept_count(mask)},
            {"groups_total", groups.size()}};
  const Target target = session.target().value_or(Target{});
  j["removed_fraction_actual"] =
      1 - cost.value(target.kind, mask) / cost.value(target.kind, Mask(mask.size(), 1));
  if (target.kind != Cost::filters) j["slack"] = allowance(groups, target) - cost.value(target.kind, mask);
  if (session.data() != nullptr)
    j["metric"] = session.stages().run("evaluate", [&] { return metric_json(session, outcome); });
  return j;
}

json layers_json(const ChannelGroups& groups, const Mask& mask) {
  json list = json::array();
  for (const auto& layer : groups.layers()) {
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

json latency_json(PruneSession& session, const std::string& written) {
  if (session.stopped()) return json::object();
  if (!std::filesystem::is_regular_file(written)) {  // a pipe, say, can't be read back
    session.note(written + " isn't a file that can be read again: no times were measured");
    return json::object();
  }
  const json measured = onnx_runtime_latency({session.arguments().model, written},
                                             session.groups().analysed_size(), session.context().threads);
  if (measured.contains("error")) {
    const std::string why = measured["error"];
    session.note("ONNX Runtime couldn't time both networks: " + why);
    if (measured["taken"] == 1)
      session.say_unusable(written + ": ONNX Runtime runs the original, but not this (" + why +
                           "). Please report this network's structure");
  }
  if (!measured.contains("milliseconds")) return json::object();
  return {{"runtime", measured["runtime"]},
          {"threads", measured["threads"]},
          {"input", measured["input"]},
          {"dense_ms", measured["milliseconds"][0]},
          {"pruned_ms", measured["milliseconds"][1]}};
}

void say_nothing_removed(PruneSession& session, const Mask& mask) {
  if (kept_count(mask) == session.groups().size())
    session.note("nothing was removed: the target is less than a single group; ask for more");
}

void add_choice(json& report, const PruneSession& session, const Choice& choice, const std::string& refine) {
  report["solver"] = solver_json(choice.solved);
  if (!choice.tried.empty()) report["tried"] = json::array();
  for (const auto& [text, value] : choice.tried)
    report["tried"].push_back({{"setting", text}, {"calibration", number(value)}});
  add_trust(report, session, choice);
  if (choice.refinement) report["refinement"] = refinement_json(session.judge(), *choice.refinement, refine);
}

void fail_if_unusable(const PruneSession& session) {
  if (!session.unusable().empty()) throw InternalError(session.unusable());
}

void finish_report(json& report, PruneSession& session) {
  if (session.stopped()) session.note("stopped before everything was done: this is the best so far");
  report["notes"] = session.notes();
  report["stages"] = session.stages().json();
}

}  // namespace quboprune
