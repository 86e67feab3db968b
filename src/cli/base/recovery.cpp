#include "cli/base/recovery.h"

#include "cli/base/console.h"
#include "cli/base/outputs.h"
#include "quboprune/evaluation.h"

namespace quboprune {
namespace {

using nlohmann::json;

json layers_json(const RefitResult& refitted) {
  json list = json::array();
  for (const auto& l : refitted.layers) {
    list.push_back({{"name", l.name},
                    {"error_before", number(l.error_before)},
                    {"error_after", number(l.error_after)},
                    {"ridge", l.ridge},
                    {"kept_old", l.kept_old},
                    {"note", l.note}});
  }
  return list;
}

Recovery report_of(const std::string& how, RefitResult repaired, const Judge& judge) {
  Recovery recovery;
  recovery.report = {{"name", how},
                     {"seconds", repaired.seconds},
                     {"reason", repaired.reason},
                     {"layers", layers_json(repaired)},
                     {"checking",
                      {{"metric", name_of(deciding(judge).metric)},
                       {"before", number(repaired.metric_before)},
                       {"after", number(repaired.metric_after)}}}};
  recovery.graph = std::move(repaired.graph);
  recovery.notes = std::move(repaired.notes);
  return recovery;
}

json history_json(const FinetuneResult& training) {
  json history = json::array();
  for (const auto& p : training.history) history.push_back({{"step", p.step}, {"loss", p.loss}});
  return history;
}

Recovery by_training(const Repair& repair, const Control& control) {
  DistilResult d = distil(repair.groups, repair.mask, repair.data, repair.calibration, repair.judge,
                          {.refit = repair.refit, .train = repair.train}, control);
  const FinetuneResult& shipped = d.on_all_kept ? *d.on_all_scenes : d.training;
  Recovery recovery;
  recovery.report = {
      {"name", "finetune"},
      {"seconds", d.refit.seconds + d.training.seconds + (d.on_all_scenes ? d.on_all_scenes->seconds : 0)},
      {"steps", shipped.steps},
      {"reason", shipped.reason},
      {"layers", layers_json(d.refit)},
      {"refit", {{"seconds", d.refit.seconds}, {"reason", d.refit.reason}}},
      {"training",
       {{"seconds", d.training.seconds},
        {"learning_rate", repair.train.learning_rate},
        {"batch", repair.train.batch},
        {"feature_weight", repair.train.feature_weight},
        {"kept", d.trained},
        {"history", history_json(d.training)}}},
      {"checking",
       {{"metric", name_of(deciding(repair.judge).metric)},
        {"before", number(d.refit.metric_before)},
        {"refitted", number(d.metric_refitted)},
        {"trained", number(d.metric_trained)},
        {"after", number(d.trained ? d.metric_trained : d.metric_refitted)}}}};
  if (d.on_all_scenes)
    recovery.report["training"]["on_all_scenes"] = {{"seconds", d.on_all_scenes->seconds},
                                                    {"steps", d.on_all_scenes->steps},
                                                    {"reason", d.on_all_scenes->reason},
                                                    {"kept", d.on_all_kept},
                                                    {"history", history_json(*d.on_all_scenes)}};
  recovery.graph = std::move(d.graph);
  recovery.refitted = std::move(d.refit.graph);
  recovery.notes = std::move(d.notes);
  const std::string& unsaved = d.on_all_scenes ? d.on_all_scenes->unsaved : d.training.unsaved;
  if (!unsaved.empty()) recovery.notes.push_back("the training's last state isn't kept: " + unsaved);
  return recovery;
}

Recovery by_layers(const std::string& how, const Repair& r, const Control& control) {
  return report_of(how,
                   how == "bn"
                       ? reestimate_batch_norm(r.groups, r.mask, r.calibration, r.judge, r.refit, control)
                       : refit(r.groups, r.mask, r.calibration, r.judge, r.refit, control),
                   r.judge);
}

/// A mask that was chosen for what a repair makes of it may be worse than any other without one, and a repair
/// takes seconds. A training isn't begun.
Recovery after_a_stop(const std::string& how, const Repair& r, const Control& control) {
  const Finishing finishing;
  const Control calm{.progress = control.progress, .stop = &finishing.stop()};
  if (how != "finetune") return by_layers(how, r, calm);
  Recovery recovery = by_layers("refit", r, calm);
  recovery.notes.emplace_back("stopped before it was trained: the network is refitted alone");
  return recovery;
}

}  // namespace

Recovery recovered(const std::string& how, const Repair& r, const Control& control) {
  if (control.stopped()) return after_a_stop(how, r, control);
  return how == "finetune" ? by_training(r, control) : by_layers(how, r, control);
}

FinetuneOptions distillation() {
  return {.steps = 300, .batch = 4, .learning_rate = 3e-4, .feature_weight = 0};
}

}  // namespace quboprune
