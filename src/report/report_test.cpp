#include "quboprune/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "report/html.h"
#include "report/values.h"

namespace quboprune {
namespace {

using nlohmann::json;

// One white pixel.
const std::string kPicture =
    "data:image/"
    "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBAEAXhm3TgAAAABJRU5ErkJg"
    "gg==";

json full_report() {
  return json::parse(R"({
    "tool": {"name": "quboprune", "version": "0.1.0"}, "command": "quboprune prune net.onnx", "seed": 1,
    "model": {"path": "nets/net.onnx", "sha256": "ab12", "parameters": 414700, "macs": 2500000000, "filters": 512},
    "target": {"kind": "filters", "removed_fraction": 0.36}, "objective": "hybrid", "round_to": 8,
    "result": {"parameters": 207350, "macs": 2000000000, "filters": 328, "removed_fraction_actual": 0.359,
               "groups_kept": 328, "groups_total": 512,
               "metric": {"name": "psnr",
                          "calibration": {"dense": 33.5, "pruned": 33.25, "recovered": 33.375},
                          "heldout": {"dense": 32.5, "pruned": 31.25, "recovered": 32.0,
                                      "change": {"mean": -0.5, "low": -0.75, "high": 0.25}}}},
    "layers": [{"name": "Conv_0", "channels": 64, "kept": 32, "kept_indices": [0]},
               {"name": "Conv_1", "channels": 64, "kept": 64, "kept_indices": [0]}],
    "solver": {"name": "swap tabu", "energy": -12.5, "bound": -13, "gap": 0.04, "seconds": 2.5, "flips": 1000},
    "removed": [{"group": "Conv_0/7", "members": ["Conv_0:7"], "importance": 0.001,
                 "stand_ins": [{"group": "Conv_0/3", "similarity": 0.91}], "cost_of_return": 0.25}],
    "equivalence": {"max_abs_difference": 1e-6, "tolerance": 1e-4, "shapes": [[1, 3, 64, 64]]},
    "refinement": {"name": "tt", "evaluations": 500, "seconds": 30, "start": 33.2, "best": 33.25,
                   "history": [{"evaluations": 1, "best": 33.2}, {"evaluations": 400, "best": 33.25}]},
    "stages": [{"name": "score", "seconds": 75, "peak_rss_bytes": 1500000000}],
    "methods": [{"name": "taylor", "result": {"filters": 328, "macs": 2e9, "metric": {"name": "psnr",
                 "heldout": {"dense": 32.5, "pruned": 30.75}}}}],
    "recovery": {"name": "refit", "layers": [{"name": "Conv_1", "error_before": 0.25, "error_after": 0.125,
                 "ridge": 0.01, "kept_old": false, "note": ""}]},
    "tried": [{"setting": "redundancy 0.1", "calibration": 33.1}, {"setting": "redundancy 0", "calibration": 33}],
    "notes": ["the data were split by scenes"]})");
}

/// As sweep writes it.
json swept_report() {
  json report = full_report();
  report.erase("methods");
  report.erase("layers");
  json entry = {{"name", "macs=0.2"},
                {"target", {{"kind", "macs"}, {"removed_fraction", 0.2}}},
                {"result", report["result"]},
                {"loss", 0.0625},
                {"latency", {{"dense_ms", 8}, {"pruned_ms", 6}}}};
  report["budgets"] = json::array({entry});
  entry["name"] = "macs=0.425";
  entry["result"]["removed_fraction_actual"] = 0.425;
  report["budgets"].push_back(entry);
  report["max_loss"] = 0.1;
  report["furthest"] = "macs=0.425";
  return report;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TerminalReport, ShowsSizesAndQualityWithTheirData) {
  const std::string text = terminal_report(full_report());
  for (const char* part : {"414.7 k", "207.3 k", "50.0 %", "2.50 G", "32.50 dB", "-0.50 dB [-0.75, +0.25]",
                           "held-out", "calibration", "Conv_0", "taylor", "30.75 dB", "1 min 15 s", "1.5 GB",
                           "hybrid, channels in multiples of 8"}) {
    EXPECT_TRUE(holds(text, part)) << part << " is missing in\n" << text;
  }
}

TEST(TerminalReport, ShowsEachBudgetOfASweep) {
  const std::string text = terminal_report(swept_report());
  for (const char* part : {"macs=0.2", "macs=0.425", "75.0 %", "32.00 dB", "-0.50 dB [-0.75, +0.25]",
                           "0.0625", "the original's 32.50 dB"})
    EXPECT_TRUE(holds(text, part)) << part << " is missing in\n" << text;
}

TEST(TerminalReport, StaysWithinAHundredColumns) {
  json report = full_report();
  report["layers"][0]["name"] = std::string(300, 'x');
  report["model"]["path"] = std::string(300, 'y');
  std::istringstream lines(terminal_report(report) + terminal_report(swept_report()));
  for (std::string line; std::getline(lines, line);) {
    // Bytes that don't continue a UTF-8 letter.
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LE(columns, 100) << line;
  }
}

TEST(TerminalReport, LetsNoControlCharactersThrough) {
  json report = full_report();
  report["layers"][0]["name"] = "a\x1b[31mred";
  EXPECT_FALSE(holds(terminal_report(report), "\x1b"));
}

TEST(Report, LeavesOutWhatIsNotThere) {
  const json whole = full_report();
  for (const auto& [key, value] : whole.items()) {
    json report = full_report();
    report.erase(key);
    EXPECT_FALSE(holds(terminal_report(report), "null")) << "without " << key;
    EXPECT_TRUE(holds(html_report(report), "</html>")) << "without " << key;
  }
  EXPECT_FALSE(holds(html_report(json::object()), "<section>"));
  EXPECT_EQ(terminal_report(json::object()), "quboprune\n");
}

TEST(TerminalReport, ShowsTheSizesThatAreThere) {
  const std::string macs = terminal_report({{"model", {{"macs", 10}}}, {"result", {{"macs", 5}}}});
  EXPECT_TRUE(holds(macs, "pruned")) << macs;
  EXPECT_TRUE(holds(macs, "50.0 %")) << macs;
  EXPECT_FALSE(holds(terminal_report({{"model", {{"macs", 10}}}}), "pruned"));
}

TEST(Report, TakesValuesOfTheWrongKind) {
  const json whole = full_report();
  for (const auto& [key, value] : whole.items()) {
    for (const json& wrong : {json("text"), json(1.5), json(), json::array({json::array(), "x", nullptr})}) {
      json report = full_report();
      report[key] = wrong;
      EXPECT_NO_THROW(terminal_report(report)) << key << " = " << wrong;
      EXPECT_NO_THROW(html_report(report)) << key << " = " << wrong;
    }
  }
}

TEST(HtmlReport, ShowsEachBudgetOfASweepAndTheCurve) {
  const std::string page = html_report(swept_report());
  for (const char* part : {"<h2>Budgets</h2>", "macs=0.425 (the furthest)", "for a loss of 0.1 at most",
                           "75.0 %", "id=\"budgets\"", R"("budgets":{"dense":32.5,"kind":"macs")"})
    EXPECT_TRUE(holds(page, part)) << part;
  EXPECT_FALSE(holds(page, "Quality after each stage")) << "that is of one network";
}

TEST(HtmlReport, GivesTheCommandAsOneTypesIt) {
  json report = full_report();
  report["arguments"] = {"prune", "my net.onnx", "--input", "it's", "-o", "out.onnx"};
  EXPECT_TRUE(holds(html_report(report),
                    "quboprune prune &#39;my net.onnx&#39; --input &#39;it&#39;\\&#39;&#39;s&#39; "
                    "-o out.onnx"));
}

TEST(HtmlReport, EscapesAllThatComesFromTheUser) {
  const std::string evil = "</script><script>alert('1\")&";
  json report = full_report();
  for (const char* path :
       {"/model/path", "/target/kind", "/layers/0/name", "/solver/name", "/removed/0/group",
        "/removed/0/members/0", "/removed/0/stand_ins/0/group", "/refinement/name", "/stages/0/name",
        "/methods/0/name", "/notes/0", "/recovery/name", "/recovery/layers/0/name", "/tried/0/setting",
        "/command", "/result/metric/name"}) {
    report[json::json_pointer(path)] = evil;
  }
  report["images"] = json::array({{{"name", evil}, {"noisy", kPicture}}});
  const std::string page = html_report(report);
  EXPECT_FALSE(holds(page, "<script>alert"));
  EXPECT_TRUE(holds(page, "&lt;script&gt;alert(&#39;1&quot;)&amp;"));
  EXPECT_TRUE(holds(page, "\\u003c/script>\\u003cscript>alert"));
}

TEST(Reports, ShowBothStepsOfARepairByTraining) {
  json report = full_report();
  report.erase("methods");
  const auto in_either = [&](const std::string& part) {
    return holds(terminal_report(report), part) || holds(html_report(report), part);
  };
  EXPECT_FALSE(in_either("refitted"));
  EXPECT_FALSE(in_either("Refitted"));
  report["result"]["metric"]["heldout"]["refitted"] = 31.5;
  report["recovery"]["steps"] = 300;
  report["recovery"]["checking"] = {{"before", 30}, {"refitted", 32.25}, {"trained", 31.0}, {"after", 32.25}};
  report["recovery"]["training"] = {{"kept", false}};
  EXPECT_TRUE(holds(terminal_report(report), "31.50 dB"));
  const std::string page = html_report(report);
  for (const char* part : {"Refitted", "31.50 dB", "32.25 dB refitted, 31.00 dB after 300 steps", "was kept"})
    EXPECT_TRUE(holds(page, part)) << part;
}

TEST(HtmlReport, ShowsComparedMethodsWithoutTakingOneForTheResult) {
  const std::string compared = html_report(full_report());
  EXPECT_TRUE(holds(compared, "taylor"));
  EXPECT_FALSE(holds(compared, "class=\"tile\"")) << "figures of one method above all of them";
  json report = full_report();
  report.erase("methods");
  const std::string pruned = html_report(report);
  EXPECT_TRUE(holds(pruned, "class=\"tile\""));
  for (const char* part : {"Repair: refit", "0.125", "redundancy 0.1", "Conv_0/3 (0.91)"}) {
    EXPECT_TRUE(holds(pruned, part)) << part;
  }
}

TEST(HtmlReport, ShowsPicturesAndNothingElseAsPictures) {
  json report = full_report();
  report["images"] = json::array({{{"name", "bridge"},
                                   {"noisy", kPicture},
                                   {"clean", "http://example.org/x.png"},
                                   {"dense", "data:image/svg+xml;base64,AAAA"},
                                   {"pruned", "data:image/png;base64,AA\" onerror=\"x"},
                                   {"psnr", {{"noisy", 25.5}}}}});
  const std::string page = html_report(report);
  EXPECT_TRUE(holds(page, kPicture));
  EXPECT_TRUE(holds(page, "25.50 dB"));
  EXPECT_FALSE(holds(page, "example.org"));
  EXPECT_FALSE(holds(page, "svg+xml"));
  EXPECT_FALSE(holds(page, "onerror=\"x"));
}

TEST(HtmlReport, LoadsNothingFromElsewhere) {
  const std::string page = html_report(full_report());
  for (const char* part : {"src=\"http", "href=", "url(", "@import", "<link"}) {
    EXPECT_FALSE(holds(page, part)) << part;
  }
  EXPECT_TRUE(holds(page, "Released under the MIT License")) << "Chart.js with its licence notice";
}

TEST(HtmlReport, ShowsLatenciesTheCheckAndTheTrustMeter) {
  json report = full_report();
  report.erase("methods");  // a page of one network
  EXPECT_FALSE(holds(html_report(report), "id=\"trust\""));
  report["latency"] = {{"runtime", "ONNX Runtime 1.0"},
                       {"threads", 2},
                       {"input", "1x3x8x8"},
                       {"dense_ms", 8.25},
                       {"pruned_ms", 5.5}};
  report["refinement"]["check"] = {{"start", 30.5}, {"best", 30.25}, {"seed_kept", true}};
  report["trust"] = {{"taylor", 0.5}};
  report["trust_points"] = json::array(
      {{{"metric", 3}, {"energy", {{"taylor", 20}}}}, {{"metric", 1}, {"energy", {{"taylor", 10}}}}});
  const std::string page = html_report(report);
  EXPECT_TRUE(holds(page, "5.50 ms"));
  EXPECT_TRUE(holds(page, "8.25 ms"));
  EXPECT_TRUE(holds(page, "no better on those scenes"));
  EXPECT_TRUE(holds(page, "id=\"trust\""));
  // By rank of the energy: the mask of energy 10 first.
  EXPECT_TRUE(holds(page, R"("points":[{"x":1,"y":1.0},{"x":2,"y":3.0}])"));
}

TEST(Reports, ShowWhatTimeAComparedNetworkTakes) {
  json report = full_report();
  report["methods"][0]["latency"] = {{"dense_ms", 8}, {"pruned_ms", 5}};
  EXPECT_TRUE(holds(html_report(report), "62.5 %"));
  EXPECT_TRUE(holds(terminal_report(report), "62.5 %"));
  report = full_report();
  report["latency"] = {
      {"runtime", "A runtime\x1b"}, {"threads", 2}, {"input", "3x8"}, {"dense_ms", 8.25}, {"pruned_ms", 5.5}};
  EXPECT_TRUE(holds(terminal_report(report), "A runtime? on 3x8, 2 threads: 8.25 ms -> 5.50 ms"));
}

TEST(HtmlReport, TakesNamesThatAreNotUtf8) {
  json report = full_report();
  report["layers"][0]["name"] = "caf\xe9";
  EXPECT_TRUE(holds(html_report(report), "</html>"));
}

TEST(Values, AreShownInTheirUnits) {
  using namespace report;
  EXPECT_EQ(show_count(512), "512");
  EXPECT_EQ(show_count(99999), "99,999");
  EXPECT_EQ(show_count(414700), "414.7 k");
  EXPECT_EQ(show_percent(0.36), "36.0 %");
  EXPECT_EQ(show_seconds(0.012), "12 ms");
  EXPECT_EQ(show_seconds(125), "2 min 5 s");
  EXPECT_EQ(show_seconds(3725), "1 h 2 min");
  EXPECT_EQ(show_metric("top1", 0.915), "91.50 %");
  EXPECT_EQ(show_change("psnr", 31.5, 32.0), "-0.50 dB");
  EXPECT_EQ(show_change("psnr", 31.5, std::nullopt), "–");
  EXPECT_EQ(number(json{{"x", std::numeric_limits<double>::quiet_NaN()}}, "/x"), std::nullopt);
}

}  // namespace
}  // namespace quboprune
