#include <algorithm>
#include <utility>
#include <vector>

#include "report/sections.h"

namespace quboprune::report {
namespace {

Json layers_data(const Json& report) {
  Json data{{"names", Json::array()}, {"kept", Json::array()}, {"removed", Json::array()}};
  for (const Json& layer : list(report, "/layers")) {
    const auto channels = number(layer, "/channels");
    const auto kept = number(layer, "/kept");
    if (!channels || !kept) continue;
    data["names"].push_back(text(layer, "/name"));
    data["kept"].push_back(*kept);
    data["removed"].push_back(*channels - *kept);
  }
  return data;
}

/// Points [evaluations, best], as they come: objects or pairs.
Json history_data(const Json& report) {
  Json points = Json::array();
  for (const Json& point : list(report, "/refinement/history")) {
    const bool pair = point.is_array();
    const auto x = number(point, pair ? "/0" : "/evaluations");
    const auto y = number(point, pair ? "/1" : "/best");
    if (x && y) points.push_back({{"x", *x}, {"y", *y}});
  }
  return points;
}

/// For each objective its points [rank of the predicted energy, measured metric].
Json trust_data(const Json& report) {
  const Json& points = list(report, "/trust_points");
  Json sets = Json::array();
  for (const auto& [objective, correlation] : at(report, "/trust").items()) {
    std::vector<std::pair<double, double>> found;  // energy, metric
    for (const Json& point : points) {
      const auto energy = number(point, "/energy/" + objective);
      const auto metric = number(point, "/metric");
      if (energy && metric) found.emplace_back(*energy, *metric);
    }
    std::sort(found.begin(), found.end());
    Json ranked = Json::array();
    for (std::size_t rank = 0; rank < found.size(); ++rank)
      ranked.push_back({{"x", rank + 1}, {"y", found[rank].second}});
    if (ranked.size() > 1) sets.push_back({{"name", objective}, {"points", ranked}});
  }
  return sets;
}

/// Differences to the original network, so that the bars may start at zero.
Json quality_data(const Json& report) {
  Json sets = Json::array();
  for (const auto& [key, name] : {std::pair{"heldout", "Held-out"}, {"calibration", "Calibration"}}) {
    const std::string path = std::string("/result/metric/") + key;
    const auto dense = number(report, path + "/dense");
    const auto pruned = number(report, path + "/pruned");
    const auto recovered = number(report, path + "/recovered");
    if (!dense || (!pruned && !recovered)) continue;
    const auto change = [&](const std::optional<double>& value) {
      return value ? Json(*value - *dense) : Json();
    };
    sets.push_back({{"name", name}, {"values", {change(pruned), change(recovered)}}});
  }
  return sets;
}

Json methods_data(const Json& report) {
  Json data{{"names", Json::array()}, {"pruned", Json::array()}, {"recovered", Json::array()}};
  for (const Json& method : list(report, "/methods")) {
    data["names"].push_back(text(method, "/name"));
    for (const char* stage : {"pruned", "recovered"}) {
      const auto value = number(method, std::string("/result/metric/heldout/") + stage);
      data[stage].push_back(value ? Json(*value) : Json());
    }
  }
  if (const auto dense = number(report, "/result/metric/heldout/dense")) data["dense"] = *dense;
  return data;
}

/// Quality by the part that is kept of what the budgets are of.
Json budgets_data(const Json& report) {
  Json data{{"kind", ""}, {"pruned", Json::array()}, {"recovered", Json::array()}};
  for (const Json& entry : list(report, "/budgets")) {
    data["kind"] = text(entry, "/target/kind");
    const auto removed = number(entry, "/result/removed_fraction_actual");
    for (const char* stage : {"pruned", "recovered"}) {
      const auto value = number(entry, std::string("/result/metric/heldout/") + stage);
      if (removed && value) data[stage].push_back({{"x", 100 * (1 - *removed)}, {"y", *value}});
    }
  }
  if (const auto dense = number(report, "/result/metric/heldout/dense")) data["dense"] = *dense;
  return data;
}

Json stages_data(const Json& report) {
  Json data{{"names", Json::array()}, {"seconds", Json::array()}};
  for (const Json& stage : list(report, "/stages")) {
    if (const auto seconds = number(stage, "/seconds")) {
      data["names"].push_back(text(stage, "/name"));
      data["seconds"].push_back(*seconds);
    }
  }
  return data;
}

}  // namespace

Json chart_data(const Json& report) {
  Json data = Json::object();
  data["metric"] = text(report, "/result/metric/name");
  if (Json layers = layers_data(report); !layers["names"].empty()) data["layers"] = layers;
  if (Json history = history_data(report); history.size() > 1) data["history"] = history;
  if (Json trust = trust_data(report); !trust.empty()) data["trust"] = trust;
  if (Json quality = quality_data(report); !quality.empty()) data["quality"] = quality;
  if (Json methods = methods_data(report); !methods["names"].empty()) data["methods"] = methods;
  if (list(report, "/budgets").size() > 1) data["budgets"] = budgets_data(report);
  if (Json stages = stages_data(report); !stages["names"].empty()) data["stages"] = stages;
  return data;
}

}  // namespace quboprune::report
