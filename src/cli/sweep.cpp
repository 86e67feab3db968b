#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "cli/base/outputs.h"
#include "cli/base/prune_report.h"
#include "cli/base/prune_session.h"
#include "cli/base/several_networks.h"
#include "cli/commands.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/report.h"
#include "report/values.h"
#include "target/budget_search.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  PruneArguments prune;
  std::string folder, targets = "macs=0.2,0.35,0.5,0.65,0.8", report, html;
  std::optional<double> max_loss;
  int halvings = 3;
};

/// "macs=0.2,0.5" as macs=0.2 and macs=0.5, the least first.
std::vector<std::string> targets_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    throw InputError("--target: '" + text + "' isn't KIND=FRACTION,FRACTION,..., such as macs=0.2,0.35,0.5");
  std::vector<std::pair<double, std::string>> found;
  std::stringstream parts(text.substr(equals + 1));
  for (std::string part; std::getline(parts, part, ',');) {
    const std::string target = text.substr(0, equals + 1) + part;
    const double removed = target_from_text(target).removed;
    if (std::ranges::any_of(found, [&](const auto& other) { return other.first == removed; }))
      throw InputError("--target " + text + ": names " + part + " twice");
    found.emplace_back(removed, target);
  }
  if (found.empty()) throw InputError("--target " + text + ": names no fraction");
  std::ranges::sort(found);
  std::vector<std::string> targets;
  for (auto& [removed, target] : found) targets.push_back(std::move(target));
  return targets;
}

/// Prunes at one budget after the other, and keeps the books.
class Sweep {
 public:
  Sweep(Options& options, PruneSession& session)
      : options_(options), session_(session), report_(report_header(session, "sweep")) {}

  /// False where it was stopped, with this budget done in part only if it is the first. One that can't be met
  /// is noted; the first throws.
  bool prune(const std::string& target) {
    if (session_.stopped()) return false;
    try {
      add(target);
    } catch (const Stopped&) {
      return false;
    } catch (const InputError& error) {
      if (tried_.empty()) throw;
      session_.note(fmt::format("{}: {}", target, error.what()));
      tried_.push_back({target_from_text(target).removed, std::numeric_limits<double>::infinity()});
      entries_.emplace_back();
    }
    return !session_.stopped();
  }

  /// Where that budget's network goes. Throws InputError where that is what the command reads, or no file can
  /// be written.
  std::string place(std::string target) const {
    std::ranges::replace(target, '=', '-');
    const auto& prune = options_.prune;
    const std::string path = (std::filesystem::path(options_.folder) / (target + ".onnx")).string();
    check_outputs({path, options_.report, options_.html},
                  {prune.model, prune.data.source, prune.data.options.split});
    return path;
  }

  /// The budget to try next for --max-loss.
  std::optional<std::string> next() const {
    const auto removed = next_budget(tried_, *options_.max_loss);
    const std::string kind = options_.targets.substr(0, options_.targets.find('='));
    return removed ? std::optional(fmt::format("{}={:g}", kind, *removed)) : std::nullopt;
  }

  /// The whole report; throws Stopped where there is nothing to report.
  json finish(bool whole) {
    if (entries_.empty()) throw Stopped("stopped before the first budget was done");
    if (options_.max_loss) {
      const auto furthest = furthest_within(tried_, *options_.max_loss);
      report_["max_loss"] = *options_.max_loss;
      report_["furthest"] = furthest ? entries_[*furthest]["name"] : json();
      if (furthest) report_["result"] = entries_[*furthest]["result"];
    }
    std::erase_if(entries_, [](const json& entry) { return entry.is_null(); });
    std::ranges::sort(entries_, {},
                      [](const json& entry) { return entry["target"]["removed_fraction"].get<double>(); });
    if (!report_.contains("result")) report_["result"] = entries_.back()["result"];
    if (!whole) session_.note(fmt::format("stopped: only {} budgets were done", entries_.size()));
    report_["budgets"] = std::move(entries_);
    finish_report(report_, session_);
    return std::move(report_);
  }

 private:
  void add(const std::string& text) {
    const auto& wanted = options_.prune.choose;
    const std::string path = place(text);
    options_.prune.target = text;
    ChooseOptions choose = wanted;
    choose.target = session_.find_target(wanted.objective);
    const Choice choice = session_.choose(choose);
    const auto outcome = session_.cut(choice.mask);
    const bool halfway = session_.stopped();
    if (halfway && !entries_.empty()) throw Stopped("stopped before " + text + " was done");
    json entry = network_entry(session_, text, choice, outcome, wanted.refine);
    entry["target"] = {{"kind", name_of(choose.target.kind)}, {"removed_fraction", choose.target.removed}};
    if (halfway) entry["stopped"] = true;
    const bool judged = options_.max_loss && !halfway;
    const double loss = judged ? loss_of(choice.mask) : std::numeric_limits<double>::quiet_NaN();
    if (judged) entry["loss"] = number(loss);
    entry["network"] = path;
    write_network(entry, session_, path, outcome, choice.objective);
    entries_.push_back(std::move(entry));
    tried_.push_back({target_from_text(text).removed, loss});
  }

  double loss_of(const Mask& mask) {
    const double loss = session_.as_it_would_ship(mask) - session_.dense(Part::calibration).mean;
    return larger_is_better(session_.judge().metric) ? -loss : loss;
  }

  Options& options_;
  PruneSession& session_;
  json report_;
  std::vector<TriedBudget> tried_;
  std::vector<json> entries_;  // of "budgets", as tried_; null where one couldn't be met
};

void say_furthest(const json& report) {
  if (!report.contains("furthest")) return;
  const std::string metric = report["result"]["metric"]["name"];
  const std::string most =
      fmt::format("{:g} of {}", report["max_loss"].get<double>(), report::show_name(metric));
  if (report["furthest"].is_null()) {
    fmt::print("\nEach of these loses more than {} on the calibration data as it would ship: ask for less.\n",
               most);
    return;
  }
  const auto& budgets = report["budgets"];
  const auto entry = std::ranges::find(budgets, report["furthest"], [](const json& e) { return e["name"]; });
  fmt::print(
      "\nThe furthest that loses at most {} on the calibration data as it would ship ({:.4g}) is {}:\n"
      "{}, on held-out data {} ({})\n",
      most, (*entry)["loss"].get<double>(), (*entry)["name"].get<std::string>(),
      (*entry)["network"].get<std::string>(), report::show_metric(metric, report::heldout_metric(*entry)),
      report::show_heldout_change(*entry));
}

void run(Options& o, const CLI::App& command, const Context& context) {
  check_outputs({o.report, o.html}, {o.prune.model, o.prune.data.source, o.prune.data.options.split});
  const auto targets = targets_of(o.targets);
  if (o.max_loss && !std::isfinite(*o.max_loss)) throw InputError("--max-loss: give a finite number");
  o.prune.target = targets.front();
  PruneSession session(o.prune, context);
  session.note(o.prune.without_say(command));
  session.note(o.prune.without_say_unrefined(command));
  make_folder(o.folder, "--output");
  Sweep sweep(o, session);
  for (const auto& target : targets) sweep.place(target);  // before any work
  bool whole = std::ranges::all_of(targets, [&](const auto& target) { return sweep.prune(target); });
  for (int k = 0; whole && o.max_loss && k < o.halvings; ++k) {
    const auto next = sweep.next();
    if (!next) break;
    whole = sweep.prune(*next);
  }
  const json report = sweep.finish(whole);
  write_json(o.report, report);
  if (!o.html.empty()) write_file_atomically(o.html, html_report(report));
  fmt::print("{}", terminal_report(report));
  say_furthest(report);
  fail_if_unusable(session);
}

}  // namespace

void add_sweep(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("sweep", "Makes a network smaller by several amounts, or as far as a loss allows");
  auto options = std::make_shared<Options>();
  options->prune.recover = "refit";
  options->prune.choose.objective = "auto";
  options->prune.choose.search.evaluations = 200;
  options->prune.add_network_and_data(*command, true);
  command
      ->add_option("-o,--output", options->folder, "Folder for the smaller ONNX files, one for each budget")
      ->required();
  command->add_option("--target", options->targets, "What to remove: KIND=FRACTION,FRACTION,...")
      ->capture_default_str();
  command->add_option(
      "--max-loss", options->max_loss,
      "Look for the largest budget that loses at most this (in the metric's unit: dB of PSNR, 0.01 for one "
      "percent of accuracy), by the calibration data: between the largest target that does and the next one");
  command->add_option("--halvings", options->halvings, "Budgets more that --max-loss tries in between")
      ->check(CLI::Range(0, 10))
      ->capture_default_str();
  options->prune.add_objective(*command);
  options->prune.add_choice(*command);
  options->prune.add_recovery(*command);
  options->prune.add_refinement(*command);
  command->add_option("--report", options->report, "Write all figures as JSON");
  command->add_option("--html", options->html, "Write a page to read and keep");
  add_common_options(*command, context);
  command->callback([options, command, &context] {
    context.action = [options, command, &context] { run(*options, *command, context); };
  });
}

}  // namespace quboprune
