#include "report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "report/html.h"

namespace quboprune::report {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// One large figure with what it is and what it was.
std::string tile(const std::string& name, const std::string& value, const std::string& note) {
  return fmt::format("<div class=\"tile\"><span>{}</span><strong>{}</strong><small>{}</small></div>\n",
                     html::escape(name), html::escape(value), html::escape(note));
}

std::string size_tile(const Json& report, const std::string& key, const std::string& name) {
  const auto before = number(report, "/model/" + key);
  const auto after = number(report, "/result/" + key);
  if (!before && !after) return "";
  if (!after) return tile(name, show_count(before), "");
  const auto part = removed_part(before, after);
  return tile(name, show_count(after),
              fmt::format("of {}, {} removed", show_count(before), show_percent(part)));
}

std::string quality_tile(const Json& report, const std::string& key, const std::string& name) {
  const std::string path = "/result/metric/" + key;
  const std::string metric = text(report, "/result/metric/name");
  const auto dense = number(report, path + "/dense");
  auto final = number(report, path + "/recovered");
  if (!final) final = number(report, path + "/pruned");
  if (!final) return dense ? tile(name, show_metric(metric, dense), "original") : "";
  return tile(
      name, show_metric(metric, final),
      fmt::format("original {}, change {}{}", show_metric(metric, dense), show_change(metric, final, dense),
                  show_interval(metric, at(report, path + "/change"))));
}

std::string latency_tile(const Json& report) {
  const auto dense = number(report, "/latency/dense_ms");
  const auto pruned = number(report, "/latency/pruned_ms");
  if (!dense || !pruned) return "";
  return tile("Latency", fmt::format("{:.2f} ms", *pruned),
              fmt::format("original {:.2f} ms; {}, {}, {}", *dense, text(report, "/latency/runtime"),
                          show_threads(number(report, "/latency/threads")), text(report, "/latency/input")));
}

bool of_several(const Json& report) {
  return !list(report, "/methods").empty() || !list(report, "/budgets").empty();
}

/// As one would type it in a shell; "" where the report doesn't say.
std::string command_line(const Json& report) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=,.:/@%";
  std::string line;
  for (const Json& argument : list(report, "/arguments")) {
    std::string word = text(argument, "");
    if (word.empty() || word.find_first_not_of(kPlain) != std::string::npos) {
      for (std::size_t at = word.find('\''); at != std::string::npos; at = word.find('\'', at + 4))
        word.replace(at, 1, R"('\'')");
      word = "'" + word + "'";
    }
    line += " " + word;
  }
  return line.empty() ? "" : "quboprune" + line;
}

bool held_apart(const Json& report) {
  const Json& apart = at(report, "/data/held_apart");
  return !apart.is_boolean() || apart.get<bool>();
}

}  // namespace

std::string summary_section(const Json& report) {
  if (of_several(report)) return "";  // each is a row of its own
  const std::string tiles =
      size_tile(report, "filters", "Filters") + size_tile(report, "parameters", "Parameters") +
      size_tile(report, "macs", "Multiply-adds") +
      quality_tile(report, "heldout", "Held-out " + show_name(text(report, "/result/metric/name"))) +
      latency_tile(report);
  return tiles.empty() ? "" : "<div class=\"tiles\">\n" + tiles + "</div>\n";
}

std::string images_section(const Json& report) {
  constexpr std::array<std::array<const char*, 2>, 4> kinds{
      {{"noisy", "Input"}, {"clean", "Target"}, {"dense", "Original network"}, {"pruned", "Pruned network"}}};
  std::string body;
  for (const Json& image : list(report, "/images")) {
    const std::string name = text(image, "/name");
    std::string row;
    for (const auto& [key, label] : kinds) {
      const std::string picture = html::picture(text(image, std::string("/") + key), name + ": " + label);
      if (picture.empty()) continue;
      const auto psnr = number(image, std::string("/psnr/") + key);
      row += fmt::format("<figure>{}<figcaption>{}{}</figcaption></figure>\n", picture, label,
                         psnr ? "<br>" + show_metric("psnr", psnr) : "");
    }
    if (row.empty()) continue;
    body += fmt::format("<h3>{}</h3>\n<div class=\"images\">\n{}</div>\n", html::escape(name), row);
  }
  return html::section("Before and after",
                       held_apart(report)
                           ? "Pieces of held-out images, which neither the choice nor the repair saw."
                           : "Pieces of images that the choice and the repair saw.",
                       body);
}

std::string quality_section(const Json& report) {
  if (of_several(report)) return "";
  const std::string metric = text(report, "/result/metric/name");
  Rows rows;
  for (const auto& [key, name] : {std::pair{"heldout", "Held-out"}, {"calibration", "Calibration"}}) {
    const std::string path = std::string("/result/metric/") + key;
    if (!at(report, path).is_object()) continue;
    std::vector<std::string> row{name};
    for (const char* stage : {"dense", "pruned", "refitted", "recovered"}) {
      row.push_back(show_metric(metric, number(report, path + "/" + stage)));
    }
    rows.push_back(row);
  }
  std::vector<std::string> head{"Data", "Original", "Pruned", "Refitted", "Recovered"};
  if (!number(report, "/result/metric/heldout/refitted")) {  // a step of its own only where training follows
    head.erase(head.begin() + 3);
    for (auto& row : rows) row.erase(row.begin() + 3);
  }
  std::string body = html::table(head, rows);
  const Json charts = chart_data(report);
  if (charts.contains("quality")) {
    body += html::chart("quality", 190, "Change of the metric against the original network after each stage");
  }
  return html::section(
      "Quality after each stage",
      held_apart(report) ? "Calibration data chose the mask; only the held-out figures say what it is worth."
                         : "All of these data chose the mask: what it is worth on others they can't say.",
      body);
}

std::string methods_section(const Json& report) {
  Rows rows;
  for (const Json& method : list(report, "/methods")) {
    const std::string metric = text(method, "/result/metric/name");
    rows.push_back({text(method, "/name"), show_count(number(method, "/result/filters")),
                    show_count(number(method, "/result/parameters")),
                    show_count(number(method, "/result/macs")),
                    show_metric(metric, number(method, "/result/metric/heldout/pruned")),
                    show_metric(metric, number(method, "/result/metric/heldout/recovered")),
                    show_relative_time(method)});
  }
  std::string body =
      html::table({"Method", "Filters", "Parameters", "Multiply-adds", "Pruned", "Recovered", "Time"}, rows);
  if (!body.empty()) {
    body +=
        html::chart("methods", 90 + 34 * static_cast<int>(rows.size()), "Held-out quality of each method");
  }
  return html::section(
      "Methods",
      "The same network, data and budget; quality on held-out data, time in ONNX Runtime beside "
      "the original's where networks were written.",
      body);
}

std::string budgets_section(const Json& report) {
  Rows rows;
  const std::string furthest = text(report, "/furthest");
  for (const Json& entry : list(report, "/budgets")) {
    const std::string metric = text(entry, "/result/metric/name");
    const std::string heldout = "/result/metric/heldout";
    const std::string name = text(entry, "/name");
    const std::string named = name == furthest            ? name + " (the furthest)"
                              : entry.contains("stopped") ? name + " (stopped)"
                                                          : name;
    rows.push_back({named, show_count(number(entry, "/result/filters")),
                    show_count(number(entry, "/result/parameters")),
                    show_count(number(entry, "/result/macs")), show_relative_time(entry),
                    show_metric(metric, number(entry, heldout + "/pruned")),
                    show_metric(metric, number(entry, heldout + "/recovered")), show_heldout_change(entry),
                    show_number(number(entry, "/loss"))});
  }
  std::vector<std::string> head{"Budget", "Filters",   "Parameters", "Multiply-adds",   "Time",
                                "Pruned", "Recovered", "Change",     "Calibration loss"};
  const auto most = number(report, "/max_loss");
  if (!most) {
    head.pop_back();
    for (auto& row : rows) row.pop_back();
  }
  std::string body = html::table(head, rows);
  if (rows.size() > 1) body += html::chart("budgets", 320, "Held-out quality by what is kept");
  return html::section(
      "Budgets",
      std::string("Quality on held-out data, with the 95 % interval of the change over its scenes; time in "
                  "ONNX Runtime beside the original's.") +
          (most ? fmt::format(" The furthest: the most that goes for a loss of {:g} at most on the "
                              "calibration data, estimated "
                              "by networks whose refit, if there is one, was fitted on other scenes.",
                              *most)
                : ""),
      body);
}

std::string layers_section(const Json& report) {
  const auto count = static_cast<int>(list(report, "/layers").size());
  if (count == 0) return "";
  return html::section("Channels of each layer", "What each layer keeps and what it loses.",
                       html::chart("layers", 80 + 26 * count, "Kept and removed channels of each layer"));
}

std::string stages_section(const Json& report) {
  Rows rows;
  for (const Json& stage : list(report, "/stages")) {
    rows.push_back({text(stage, "/name"), show_seconds(number(stage, "/seconds")),
                    show_bytes(number(stage, "/peak_rss_bytes"))});
  }
  std::string body = html::table({"Stage", "Time", "Peak memory so far"}, rows);
  if (!body.empty()) {
    body += html::chart("stages", 70 + 26 * static_cast<int>(rows.size()), "Seconds of each stage");
  }
  return html::section("Time and memory", "Each stage of this run.", body);
}

std::string origin_section(const Json& report) {
  Rows rows;
  for (const auto& [pointer, name] : {std::pair{"/model/path", "Model"},
                                      {"/model/sha256", "SHA-256 of the model"},
                                      {"/data/source", "Data"},
                                      {"/data/form", "Recognised as"},
                                      {"/data/noise", "Noise drawn"},
                                      {"/command", "Command"},
                                      {"/seed", "Seed"},
                                      {"/tool/version", "quboprune"}}) {
    if (const std::string value = text(report, pointer); !value.empty()) rows.push_back({name, value});
  }
  if (const std::string line = command_line(report); !line.empty()) rows.push_back({"Command line", line});
  for (const Json& note : list(report, "/notes")) rows.push_back({"Note", text(note, "")});
  return html::section("Where this comes from", "What it takes to do it again.", html::table({}, rows));
}

}  // namespace quboprune::report
