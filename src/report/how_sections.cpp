// How the mask was found, what went, and what was done and verified afterwards.

#include <fmt/format.h>

#include "report/html.h"
#include "report/sections.h"

namespace quboprune::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string names_of_stand_ins(const Json& group) {
  std::string names;
  for (const Json& stand_in : list(group, "/stand_ins")) {
    if (!names.empty()) names += ", ";
    names += text(stand_in, "/group");
    if (const auto similarity = number(stand_in, "/similarity"))
      names += fmt::format(" ({:.2f})", *similarity);
  }
  return names;
}

std::string joined(const Json& values) {
  std::string names;
  for (const Json& value : values) {
    if (!names.empty()) names += ", ";
    names += value.is_string() ? value.get<std::string>()
                               : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return names;
}

}  // namespace

std::string search_section(const Json& report) {
  Rows rows;
  const auto row = [&](const std::string& name, const std::string& value) {
    if (!value.empty() && value != show_number(std::nullopt)) rows.push_back({name, value});
  };
  row("Objective", text(report, "/objective"));
  row("Why this one", text(report, "/reason"));
  row("Solver", text(report, "/solver/name"));
  row("Energy", show_number(number(report, "/solver/energy")));
  row("Proven lower bound", show_number(number(report, "/solver/bound")));
  row("Gap", show_number(number(report, "/solver/gap")));
  row("Solver's time", show_seconds(number(report, "/solver/seconds")));
  row("Refinement", text(report, "/refinement/name"));
  row("Masks evaluated", show_count(number(report, "/refinement/evaluations")));
  row("Refinement's time", show_seconds(number(report, "/refinement/seconds")));
  row("Calibration metric at the start", show_number(number(report, "/refinement/start")));
  row("Calibration metric at the end", show_number(number(report, "/refinement/best")));
  row("The start on scenes that the search didn't see",
      show_number(number(report, "/refinement/check/start")));
  row("What was found there", show_number(number(report, "/refinement/check/best")));
  if (at(report, "/refinement/check/seed_kept") == Json(true))
    row("Taken", "the start: what was found is no better on those scenes");
  std::string body = html::table({}, rows);
  if (const Json& tried = list(report, "/tried"); tried.size() > 1) {
    Rows settings;
    for (const Json& setting : tried) {
      settings.push_back({text(setting, "/setting"), show_number(number(setting, "/calibration"))});
    }
    body += "<h3>Settings that were tried</h3>\n" + html::table({"Setting", "Calibration metric"}, settings);
  }
  if (chart_data(report).contains("history")) {
    body += html::chart("history", 240, "Best calibration metric against the number of masks evaluated");
  }
  if (chart_data(report).contains("trust")) {
    body +=
        html::chart("trust", 260, "Measured metric of masks around the target against their predicted rank");
  }
  return html::section(
      "How the mask was found",
      "What the solver reached, and what the search on the metric itself added; all on calibration data.",
      body);
}

std::string removed_section(const Json& report) {
  Rows rows;
  for (const Json& group : list(report, "/removed")) {
    rows.push_back({text(group, "/group"), joined(list(group, "/members")),
                    show_number(number(group, "/importance")), names_of_stand_ins(group),
                    show_number(number(group, "/cost_of_return"))});
  }
  if (rows.empty()) return "";
  const std::string body = fmt::format(
      "<details{}><summary>{} removed groups</summary>\n{}</details>\n", rows.size() <= 12 ? " open" : "",
      rows.size(),
      html::table({"Group", "Channels", "Importance", "Kept groups that stand in for it (similarity)",
                   "Objective's change if it came back"},
                  rows));
  return html::section("What was removed, and why", "Every coupled set of channels that is gone.", body);
}

/// What training added to the refit, by the metric on scenes that training didn't see.
std::string training_text(const Json& report) {
  const auto refitted = number(report, "/recovery/checking/refitted");
  const auto trained = number(report, "/recovery/checking/trained");
  if (!refitted || !trained) return "";
  const std::string metric = text(report, "/result/metric/name");
  const bool kept = at(report, "/recovery/training/kept") == Json(true);
  return fmt::format(
      "<p>On calibration scenes that training didn't see (the refit's last walk did): {} refitted, {} after "
      "{} "
      "steps of training, {}.</p>\n",
      html::escape(show_metric(metric, refitted)), html::escape(show_metric(metric, trained)),
      show_count(number(report, "/recovery/steps")),
      kept ? "which is what was kept" : "so the refitted network was kept");
}

std::string recovery_section(const Json& report) {
  Rows rows;
  for (const Json& layer : list(report, "/recovery/layers")) {
    const bool kept_old = at(layer, "/kept_old") == Json(true);
    const std::string note = text(layer, "/note");
    rows.push_back({text(layer, "/name"), show_number(number(layer, "/error_before")),
                    show_number(number(layer, "/error_after")),
                    kept_old ? (note.empty() ? "kept its old weights" : note) : note});
  }
  std::string body = training_text(report) + html::table({"Layer", "Error before", "Error after", ""}, rows);
  const std::string name = text(report, "/recovery/name");
  if (body.empty() && !name.empty()) body = "<p>" + html::escape(name) + "</p>\n";
  return html::section("Repair: " + name,
                       "Relative error of each layer's outputs on scenes that the repair didn't see.", body);
}

std::string certificate_section(const Json& report) {
  const auto difference = number(report, "/equivalence/max_abs_difference");
  if (!difference) return "";
  Rows rows{{"Largest difference of the outputs", fmt::format("{:.3g}", *difference)},
            {"Tolerance", show_number(number(report, "/equivalence/tolerance"))}};
  for (const Json& shape : list(report, "/equivalence/shapes")) {
    rows.push_back({"Input shape", shape.is_array() ? joined(shape) : text(shape, "")});
  }
  return html::section("Certificate",
                       "The smaller network against the original with the same channels masked.",
                       html::table({}, rows));
}

}  // namespace quboprune::report
