#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
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

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  PruneArguments prune;
  std::string methods = "random,l1,taylor,fisher,l1-qubo,hybrid,gauss-newton", report, html, networks;
};

/// "hybrid+tt": an objective, refined or not.
struct Method {
  std::string name, objective, refine = "none";
};

std::vector<Method> methods_of(const std::string& text) {
  std::vector<Method> result;
  std::stringstream parts(text);
  for (std::string name; std::getline(parts, name, ',');) {
    std::erase(name, ' ');
    if (name.empty()) continue;
    Method m{name, name.substr(0, name.find('+')), "none"};
    if (name.find('+') != std::string::npos) m.refine = name.substr(name.find('+') + 1);
    const auto known = objective_names();
    if (m.objective != "auto" && std::find(known.begin(), known.end(), m.objective) == known.end())
      throw InputError(
          fmt::format("--methods {}: no such objective; take auto, {}", name, fmt::join(known, ", ")));
    const auto searches = search_names();
    if (m.refine != "none" && std::ranges::find(searches, m.refine) == searches.end())
      throw InputError(fmt::format("--methods {}: refine with one of +{}", name, fmt::join(searches, ", +")));
    if (std::ranges::find(result, m.name, &Method::name) != result.end())
      throw InputError(fmt::format("--methods {}: names {} twice", text, m.name));
    result.push_back(m);
  }
  if (result.empty()) throw InputError("--methods: name at least one, as taylor,hybrid,hybrid+tt");
  return result;
}

void print(const json& report, bool recovered) {
  const std::string metric = report["result"]["metric"]["name"];
  fmt::print("{:<24} {:>10} {:>10} {:>10}", "held-out " + metric, "dense", "cut",
             recovered ? "recovered" : "");
  fmt::print(" {:>9} {:>9} {:>9} {:>9}\n", "filters", "params", "MACs", "time");
  const auto show = [](const json& v) {
    return v.is_number() ? fmt::format("{:.4f}", v.get<double>()) : std::string("-");
  };
  for (const auto& m : report["methods"]) {
    const auto& held = m["result"]["metric"]["heldout"];
    const auto left = [&](const char* key) {
      return fmt::format("{:.1f} %",
                         100 * m["result"][key].get<double>() / report["model"][key].get<double>());
    };
    fmt::print("{:<24} {:>10} {:>10} {:>10}", m["name"].get<std::string>(), show(held["dense"]),
               show(held["pruned"]), recovered ? show(held["recovered"]) : "");
    fmt::print(" {:>9} {:>9} {:>9} {:>9}\n", left("filters"), left("parameters"), left("macs"),
               report::show_relative_time(m));
  }
}

/// One method's choice, network and figures. What was stopped halfway isn't that method's result: the first
/// one is better than none, and said to be `stopped`; for others it throws Stopped.
json measured(const Method& method, bool first, const Options& o, PruneSession& session) {
  ChooseOptions choose = o.prune.choose;
  choose.objective = method.objective;
  choose.refine = method.refine;
  const Choice choice = session.choose(choose);
  const auto outcome = session.cut(choice.mask);
  const bool halfway = session.stopped();
  if (halfway && !first) throw Stopped("stopped before " + method.name + " was done");
  json entry = network_entry(session, method.name, choice, outcome, method.refine);
  if (halfway) entry["stopped"] = true;
  if (!o.networks.empty())
    write_network(entry, session, (std::filesystem::path(o.networks) / (method.name + ".onnx")).string(),
                  outcome, choice.objective);
  return entry;
}

void run(Options& o, const CLI::App& command, const Context& context) {
  check_outputs({o.report, o.html}, {o.prune.model, o.prune.data.source, o.prune.data.options.split});
  const auto methods = methods_of(o.methods);
  auto& choose = o.prune.choose;
  target_from_text(o.prune.target);  // before any work
  PruneSession session(o.prune, context);
  session.note(o.prune.without_say(command));
  session.note(o.prune.without_say_of_count(command));
  std::vector<std::string> objectives;
  for (const Method& method : methods) objectives.push_back(method.objective);
  session.note(PruneArguments::without_say_in(objectives, command));
  if (std::ranges::all_of(methods, [](const Method& method) { return method.refine == "none"; })) {
    choose.refine = "none";
    session.note(o.prune.without_say_unrefined(command));
  }
  choose.target = session.find_target(methods.front().objective);
  if (!o.networks.empty()) make_folder(o.networks, "--networks");
  json report = report_header(session, "compare");
  report["target"] = target_json(choose.target);
  report["methods"] = json::array();
  std::exception_ptr failure;  // what is done is reported first
  for (const auto& method : methods) {
    if (context.control.stopped()) break;
    session.label(method.name);
    try {
      report["methods"].push_back(measured(method, report["methods"].empty(), o, session));
    } catch (const Stopped&) {
      break;
    } catch (const std::exception&) {
      failure = std::current_exception();
      break;
    }
  }
  session.label("");
  if (failure && report["methods"].empty()) std::rethrow_exception(failure);
  if (report["methods"].empty()) throw Stopped("stopped before the first method was done");
  report["result"] = report["methods"].back()["result"];
  if (report["methods"].size() < methods.size())
    session.note(fmt::format("{}: only {} of {} methods were done", failure ? "ended by an error" : "stopped",
                             report["methods"].size(), methods.size()));
  finish_report(report, session);
  write_json(o.report, report);
  if (!o.html.empty()) write_file_atomically(o.html, html_report(report));
  print(report, o.prune.recover != "none");
  if (report["methods"].size() < methods.size()) fmt::print("{}\n", session.notes().back());
  if (failure) std::rethrow_exception(failure);
  fail_if_unusable(session);
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("compare", "Measures several ways of pruning at the same target");
  auto options = std::make_shared<Options>();
  options->prune.recover = "refit";
  options->prune.choose.search.evaluations = 200;
  options->prune.add_network_and_data(*command, true);
  command
      ->add_option("--target", options->prune.target, "What to remove: filters=0.36, params=0.5, macs=0.36")
      ->required();
  command->add_option("--methods", options->methods, "Objectives, each perhaps with +tt, +local or +tt+local")
      ->capture_default_str();
  options->prune.add_choice(*command);
  options->prune.add_recovery(*command);
  options->prune.add_refinement(*command);
  command->add_option("--report", options->report, "Write all figures as JSON");
  command->add_option("--html", options->html, "Write a page to read and keep");
  command->add_option("--networks", options->networks, "Folder to write each method's network to");
  add_common_options(*command, context);
  command->callback([options, command, &context] {
    context.action = [options, command, &context] { run(*options, *command, context); };
  });
}

}  // namespace quboprune
