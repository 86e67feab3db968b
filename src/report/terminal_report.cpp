#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "quboprune/report.h"
#include "report/values.h"

namespace quboprune {
namespace {

using namespace report;  // NOLINT: the whole file speaks in these terms
using Row = std::vector<std::string>;

/// Columns that a UTF-8 text takes, for the letters that occur here (one column a code point).
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Text of the user's for one line of a terminal: no control characters, cut to `columns` at the left.
std::string plain(std::string text, std::size_t columns) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return (c >= 0 && c < 32) || c == 127; }, '?');
  if (width(text) <= columns) return text;
  while (width(text) > columns - 1) {
    do {
      text.erase(0, 1);
    } while (!text.empty() && (text[0] & 0xC0) == 0x80);
  }
  return "…" + text;
}

std::string padded(const std::string& text, std::size_t columns, bool to_the_right) {
  const std::string space(columns - std::min(columns, width(text)), ' ');
  return to_the_right ? space + text : text + space;
}

/// A table with a title; the first column left-aligned, the others right-aligned. "" without rows.
std::string table(const std::string& title, const Row& head, const std::vector<Row>& rows) {
  if (rows.empty()) return "";
  std::vector<std::size_t> widths;
  for (const std::string& name : head) widths.push_back(width(name));
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  const auto line = [&](const Row& row) {
    std::string text = " ";
    for (std::size_t i = 0; i < row.size(); ++i) text += " " + padded(row[i], widths[i], i > 0) + " ";
    return text.erase(text.find_last_not_of(' ') + 1) + "\n";
  };
  std::string text = "\n" + title + "\n" + line(head);
  for (const Row& row : rows) text += line(row);
  return text;
}

std::string heading(const Json& report) {
  std::string line = "quboprune";
  if (const std::string version = text(report, "/tool/version"); !version.empty()) line += " " + version;
  if (const std::string path = text(report, "/model/path"); !path.empty()) line += "  " + plain(path, 45);
  const auto target = number(report, "/target/removed_fraction");
  if (target)
    line += fmt::format("  remove {} of the {}", show_percent(target), text(report, "/target/kind"));
  return line + "\n";
}

std::string sizes(const Json& report) {
  std::vector<Row> rows;
  for (const auto& [key, name] :
       {std::pair{"filters", "filters"}, {"parameters", "parameters"}, {"macs", "multiply-adds"}}) {
    const auto before = number(report, std::string("/model/") + key);
    const auto after = number(report, std::string("/result/") + key);
    if (!before && !after) continue;
    Row row{name, show_count(before)};
    if (after) row.insert(row.end(), {show_count(after), show_percent(removed_part(before, after))});
    rows.push_back(row);
  }
  const bool pruned = std::ranges::any_of(rows, [](const Row& row) { return row.size() > 2; });
  return table("Size", pruned ? Row{"", "original", "pruned", "removed"} : Row{"", "original"}, rows);
}

std::string quality(const Json& report) {
  const std::string metric = text(report, "/result/metric/name");
  std::vector<Row> rows;
  bool trained = false;
  for (const auto& [key, name] :
       {std::pair{"heldout", "held-out data"}, {"calibration", "calibration data"}}) {
    const std::string path = std::string("/result/metric/") + key;
    if (!at(report, path).is_object()) continue;
    const auto dense = number(report, path + "/dense");
    const auto pruned = number(report, path + "/pruned");
    const auto refitted = number(report, path + "/refitted");
    const auto recovered = number(report, path + "/recovered");
    trained = trained || refitted;
    rows.push_back({name, show_metric(metric, dense), show_metric(metric, pruned),
                    show_metric(metric, refitted), show_metric(metric, recovered),
                    show_change(metric, recovered ? recovered : pruned, dense) +
                        show_interval(metric, at(report, path + "/change"))});
  }
  Row head{"", "original", "pruned", "refitted", "recovered", "change"};
  if (!trained) {  // a step of its own only where training follows
    head.erase(head.begin() + 3);
    for (auto& row : rows) row.erase(row.begin() + 3);
  }
  return table("Quality (" + show_name(plain(metric, 20)) + ")", head, rows);
}

/// Beside the original in ONNX Runtime.
std::string latency(const Json& report) {
  const auto dense = number(report, "/latency/dense_ms");
  const auto pruned = number(report, "/latency/pruned_ms");
  if (!dense || !pruned) return "";
  return fmt::format("\n{} on {}, {}: {:.2f} ms -> {:.2f} ms\n", plain(text(report, "/latency/runtime"), 60),
                     plain(text(report, "/latency/input"), 200),
                     show_threads(number(report, "/latency/threads")), *dense, *pruned);
}

/// What one compared method left: its size and its metric on held-out data.
std::string methods(const Json& report) {
  std::vector<Row> rows;
  for (const Json& method : list(report, "/methods")) {
    const std::string metric = text(method, "/result/metric/name");
    const std::string heldout = "/result/metric/heldout";
    rows.push_back({plain(text(method, "/name"), 40), show_count(number(method, "/result/filters")),
                    show_count(number(method, "/result/macs")),
                    show_metric(metric, number(method, heldout + "/pruned")),
                    show_metric(metric, number(method, heldout + "/recovered")), show_relative_time(method)});
  }
  return table("Methods (quality on held-out data; time beside the original's)",
               {"", "filters", "multiply-adds", "pruned", "recovered", "time"}, rows);
}

/// What each budget of a sweep left.
std::string budgets(const Json& report) {
  std::vector<Row> rows;
  bool judged = false;
  for (const Json& entry : list(report, "/budgets")) {
    const std::string metric = text(entry, "/result/metric/name");
    judged = judged || entry.contains("loss");
    const std::string name = text(entry, "/name") + (entry.contains("stopped") ? " (stopped)" : "");
    rows.push_back({plain(name, 24), show_count(number(entry, "/result/filters")),
                    show_count(number(entry, "/result/macs")), show_relative_time(entry),
                    show_metric(metric, heldout_metric(entry)), show_heldout_change(entry),
                    show_number(number(entry, "/loss"))});
  }
  Row head{"", "filters", "multiply-adds", "time", "quality", "change", "calibration loss"};
  if (!judged) {
    head.pop_back();
    for (Row& row : rows) row.pop_back();
  }
  const std::string metric = text(report, "/result/metric/name");
  return table(
      fmt::format("Budgets (quality on held-out data, the original's {}; time beside the original's)",
                  show_metric(metric, number(report, "/result/metric/heldout/dense"))),
      head, rows);
}

std::string layers(const Json& report) {
  constexpr int kBar = 24;
  std::vector<Row> rows;
  for (const Json& layer : list(report, "/layers")) {
    const auto channels = number(layer, "/channels");
    const auto kept = number(layer, "/kept");
    if (!channels || !kept || *channels <= 0) continue;
    const int full = std::clamp(static_cast<int>(std::lround(kBar * *kept / *channels)), 0, kBar);
    std::string bar;
    for (int i = 0; i < kBar; ++i) bar += i < full ? "█" : "·";
    rows.push_back({plain(text(layer, "/name"), 40), bar, show_count(kept), show_count(channels)});
  }
  return table("Layers", {"", "", "kept", "of"}, rows);
}

std::string search(const Json& report) {
  std::string lines;
  if (const std::string name = text(report, "/objective"); !name.empty()) {
    const double multiple = number(report, "/round_to").value_or(1);
    lines += fmt::format("  objective: {}{}\n", plain(name, 40),
                         multiple > 1 ? fmt::format(", channels in multiples of {:.0f}", multiple) : "");
  }
  if (const std::string name = text(report, "/solver/name"); !name.empty()) {
    lines += fmt::format("  solver {}: energy {}, bound {}, {}\n", plain(name, 40),
                         show_number(number(report, "/solver/energy")),
                         show_number(number(report, "/solver/bound")),
                         show_seconds(number(report, "/solver/seconds")));
  }
  if (const std::string name = text(report, "/refinement/name"); !name.empty() && name != "none") {
    lines += fmt::format("  refinement {}: {} masks in {}, calibration metric {} to {}\n", plain(name, 40),
                         show_count(number(report, "/refinement/evaluations")),
                         show_seconds(number(report, "/refinement/seconds")),
                         show_number(number(report, "/refinement/start")),
                         show_number(number(report, "/refinement/best")));
  }
  if (const auto difference = number(report, "/equivalence/max_abs_difference")) {
    lines +=
        fmt::format("  certificate: pruned and masked network differ by at most {:.2g} (tolerance {:.2g})\n",
                    *difference, number(report, "/equivalence/tolerance").value_or(0));
  }
  return lines.empty() ? "" : "\nHow\n" + lines;
}

std::string stages(const Json& report) {
  std::vector<Row> rows;
  for (const Json& stage : list(report, "/stages")) {
    rows.push_back({plain(text(stage, "/name"), 30), show_seconds(number(stage, "/seconds")),
                    show_bytes(number(stage, "/peak_rss_bytes"))});
  }
  return table("Stages", {"", "time", "peak memory"}, rows);
}

std::string notes(const Json& report) {
  std::string lines;
  for (const Json& note : list(report, "/notes")) {
    if (note.is_string()) lines += "  " + plain(note.get<std::string>(), 1000) + "\n";
  }
  return lines.empty() ? "" : "\nNotes\n" + lines;
}

}  // namespace

std::string terminal_report(const Json& report) {
  if (!list(report, "/budgets").empty()) return heading(report) + budgets(report) + notes(report);
  return heading(report) + sizes(report) + quality(report) + methods(report) + layers(report) +
         search(report) + stages(report) + notes(report) + latency(report);
}

}  // namespace quboprune
