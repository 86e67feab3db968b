#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>

#include "cli/base/ignored_options.h"
#include "cli/base/outputs.h"
#include "cli/base/prune_report.h"
#include "cli/base/prune_session.h"
#include "cli/base/several_networks.h"
#include "cli/commands.h"
#include "core/phases.h"
#include "core/text.h"
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

/// As it is named in reports and files.
std::string name_of(const Target& target) {
  return fmt::format("{}={}", name_of(target.kind), target.removed);
}

/// "macs=0.2,0.5" as macs=0.2 and macs=0.5, the least first.
std::vector<Target> targets_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || text.find('=', equals + 1) != std::string::npos)
    throw InputError("--target: '" + text + "' isn't KIND=FRACTION,FRACTION,..., such as macs=0.2,0.35,0.5");
  std::vector<Target> targets;
  std::stringstream parts(text.substr(equals + 1) + ",");
  for (std::string part; std::getline(parts, part, ',');) {
    const Target target = target_from_text(text.substr(0, equals + 1) + part);
    if (std::ranges::find(targets, target.removed, &Target::removed) != targets.end())
      throw InputError("--target " + text + ": names " + part + " twice");
    targets.push_back(target);
  }
  std::ranges::sort(targets, {}, &Target::removed);
  return targets;
}

/// Prunes at one budget after the other, and keeps the books.
class Sweep {
 public:
  Sweep(Options& options, PruneSession& session, Phases& phases)
      : options_(options), session_(session), phases_(phases) {
    seen_.insert(text_of(Mask(static_cast<std::size_t>(session.groups().size()), 1)));
  }

  /// False where it was stopped. A budget that can't be met is noted, the first of all throws.
  bool prune(const Target& target) {
    if (session_.stopped()) return false;
    const std::string name = name_of(target);
    label(name);
    struct End {  // whatever is thrown
      Sweep& sweep;
      ~End() { sweep.label(""); }
    } end{*this};
    try {
      add(name, target);
    } catch (const Stopped&) {
      // What is done serves.
    } catch (const UnmetTarget& error) {
      if (tried_.empty()) throw;
      session_.note(error.what());
      tried_.push_back({target.removed, std::numeric_limits<double>::infinity()});
      entries_.emplace_back();
    }
    return !session_.stopped();
  }

  /// --max-loss: budgets between the furthest that holds and what fails beyond, until one comes to a mask
  /// that was tried already.
  void narrow_down(Cost kind) {
    for (int k = 0; k < options_.halvings; ++k) {
      const auto removed = next_budget(tried_, *options_.max_loss);
      const std::size_t masks = seen_.size();
      if (!removed || !prune({kind, *removed})) return;
      const bool met = !entries_.back().is_null();  // else its loss is infinite: the next is nearer
      if (met && seen_.size() == masks) return;
    }
  }

  /// Is there anything to report?
  bool has_any() const {
    return std::ranges::any_of(entries_, [](const json& entry) { return !entry.is_null(); });
  }

  /// The whole report; throws Stopped where there is nothing to report.
  json finish() {
    if (!has_any()) throw Stopped("stopped before the first budget was done");
    const bool judged = std::ranges::any_of(entries_, [](const json& e) { return e.contains("loss"); });
    json report = report_header(session_, "sweep");
    if (judged) {
      const auto furthest = furthest_within(tried_, *options_.max_loss);
      report["max_loss"] = *options_.max_loss;
      report["furthest"] = furthest ? entries_[*furthest]["name"] : json();
      if (furthest) report["result"] = entries_[*furthest]["result"];
    }
    std::erase_if(entries_, [](const json& entry) { return entry.is_null(); });
    std::ranges::sort(entries_, {},
                      [](const json& entry) { return entry["target"]["removed_fraction"].get<double>(); });
    if (!report.contains("result")) report["result"] = entries_.back()["result"];
    report["budgets"] = std::move(entries_);
    finish_report(report, session_);
    return report;
  }

  /// Where that budget's network goes. Throws InputError where that is what the command reads or writes
  /// otherwise, or no file can be written.
  std::string checked_place(const Target& target) const {
    std::string name = name_of(target);
    std::ranges::replace(name, '=', '-');
    const auto& prune = options_.prune;
    const std::string path = (std::filesystem::path(options_.folder) / (name + ".onnx")).string();
    check_outputs({path, options_.report, options_.html},
                  {prune.model, prune.data.source, prune.data.options.split});
    return path;
  }

 private:
  void label(const std::string& which) {
    phases_.enter(which);
    session_.label(which);
  }

  void add(const std::string& name, const Target& target) {
    const std::string path = checked_place(target);
    const auto& wanted = options_.prune.choose;
    options_.prune.target = name;
    ChooseOptions choose = wanted;
    choose.target = session_.find_target(wanted.objective);
    const Choice choice = session_.choose(choose);
    const auto outcome = session_.cut(choice.mask);
    const bool halfway = session_.stopped();
    if (halfway && !entries_.empty()) throw Stopped("stopped before " + name + " was done");
    json entry = network_entry(session_, name, choice, outcome, wanted.refine);
    entry["target"] = target_json(choose.target);
    if (halfway) entry["stopped"] = true;
    entry["network"] = path;
    write_network(entry, session_, path, outcome, choice.objective);
    say_nothing_removed(session_, choice.mask);
    seen_.insert(text_of(choice.mask));
    entries_.push_back(std::move(entry));
    tried_.push_back({target.removed, std::numeric_limits<double>::quiet_NaN()});
    if (!options_.max_loss || halfway) return;
    const double loss = loss_of(choice.mask);  // last: a stop meanwhile costs the judgement alone
    entries_.back()["loss"] = number(loss);
    tried_.back().loss = loss;
  }

  double loss_of(const Mask& mask) {
    const double dense = session_.dense(Part::calibration).mean;
    const double shipped = session_.as_it_would_ship(mask);
    return larger_is_better(session_.judge().metric) ? dense - shipped : shipped - dense;
  }

  Options& options_;
  PruneSession& session_;
  Phases& phases_;
  std::vector<TriedBudget> tried_;
  std::vector<json> entries_;   // of "budgets", as tried_; null where one couldn't be met
  std::set<std::string> seen_;  // masks, the whole one among them
};

void say_furthest(const json& report) {
  if (!report.contains("furthest")) return;
  const std::string metric = report["result"]["metric"]["name"];
  const std::string most = fmt::format("{:g}{} of {}", report["max_loss"].get<double>(),
                                       metric == "psnr" ? " dB" : "", report::show_name(metric));
  if (report["furthest"].is_null()) {
    fmt::print("\nEach of these loses more than {} on the calibration data: ask for less.\n", most);
    return;
  }
  const auto& budgets = report["budgets"];
  const auto entry = std::ranges::find(budgets, report["furthest"], [](const json& e) { return e["name"]; });
  fmt::print(
      "\nThe furthest that loses at most {} on the calibration data is {} (estimated: {:.4g}):\n"
      "{}, on held-out data {} ({})\n",
      most, (*entry)["name"].get<std::string>(), (*entry)["loss"].get<double>(),
      (*entry)["network"].get<std::string>(), report::show_metric(metric, report::heldout_metric(*entry)),
      report::show_heldout_change(*entry));
}

void run(Options& o, const CLI::App& command, const Context& outer) {
  const auto targets = targets_of(o.targets);
  if (o.max_loss && !std::isfinite(*o.max_loss)) throw InputError("--max-loss: give a finite number");
  make_folder(o.folder, "--output");
  check_outputs({o.report, o.html}, {o.prune.model, o.prune.data.source, o.prune.data.options.split});
  o.prune.target = name_of(targets.front());
  Phases phases(outer.control);
  Context context = outer;
  context.control = phases.control();
  PruneSession session(o.prune, context);
  session.note(o.prune.without_say_of_count(command));
  session.note(PruneArguments::without_say_in({o.prune.choose.objective}, command));
  session.note(o.prune.without_say(command));
  session.note(o.prune.without_say_unrefined(command));
  if (!o.max_loss) session.note(ignored_options(command, {"--halvings"}, "without --max-loss none are made"));
  Sweep sweep(o, session, phases);
  for (const Target& target : targets) sweep.checked_place(target);  // before any work
  session.scores(o.prune.choose.objective);                          // of all budgets
  std::exception_ptr failure;                                        // what is done is reported first
  try {
    const bool all = std::ranges::all_of(targets, [&](const Target& target) { return sweep.prune(target); });
    if (all && o.max_loss) sweep.narrow_down(targets.front().kind);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure && !sweep.has_any()) std::rethrow_exception(failure);
  const json report = sweep.finish();
  write_json(o.report, report);
  if (!o.html.empty()) write_file_atomically(o.html, html_report(report));
  fmt::print("{}", terminal_report(report));
  if (failure) std::rethrow_exception(failure);
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
      "percent of accuracy) by the calibration data: between the largest target that does and the next one. "
      "Each scene is judged by a network whose refit, if there is one, was fitted on others; training and bn "
      "come after that");
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
