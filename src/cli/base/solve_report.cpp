#include "cli/base/solve_report.h"

#include <fmt/format.h>

#include <cmath>

#include "quboprune/error.h"

namespace quboprune {
namespace {

using nlohmann::json;

/// Whole numbers as such: 3931583, not 3931583.0.
json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == std::floor(value) && std::abs(value) < 0x1p53) return static_cast<std::int64_t>(value);
  return value;
}

std::string constraint_name(const Constraint& constraint) {
  if (constraint.kind == Constraint::Kind::none) return "none";
  return constraint.kind == Constraint::Kind::exactly ? "exactly" : "at_most";
}

/// The variables that are proved to have that value.
json proven(const SolverResult& result, std::int8_t value) {
  json variables = json::array();
  for (std::size_t i = 0; i < result.persistent.size(); ++i)
    if (result.persistent[i] == value) variables.push_back(i);
  return variables;
}

std::string shown(const json& value) {
  return value.is_null() ? "none" : value.dump();
}

}  // namespace

void override_capacity(Problem& problem, double capacity) {
  if (!(capacity >= 0) || !std::isfinite(capacity))
    throw InputError(fmt::format("a capacity of {}: give a number of 0 or more", capacity));
  problem.constraint.capacity = capacity;
  if (problem.constraint.kind == Constraint::Kind::none) problem.constraint.kind = Constraint::Kind::exactly;
}

nlohmann::json relative_gap(double energy, double bound) {
  if (bound == energy) return 0.0;
  if (!std::isfinite(bound) || energy == 0) return nullptr;
  return std::abs(bound - energy) / std::abs(energy);
}

nlohmann::json solve_report(const Problem& problem, const std::string& path, const SolverResult& result,
                            std::uint64_t seed) {
  const double energy = problem.objective(result.pool.front().energy);
  const double bound = problem.objective(result.bound);
  const bool bounded = std::isfinite(bound);
  json pool = json::array();
  for (const Solution& solution : result.pool)
    pool.push_back({{"energy", number(problem.objective(solution.energy))}, {"x", solution.x}});
  json report;
  report["seed"] = seed;
  report["capacity"] =
      problem.constraint.kind == Constraint::Kind::none ? json(nullptr) : number(problem.constraint.capacity);
  report["x"] = result.pool.front().x;
  report["energy"] = number(energy);
  report["problem"] = {{"path", path},
                       {"format", problem.format},
                       {"family", problem.family},
                       {"variables", problem.qubo.size()},
                       {"couplings", problem.qubo.pairs().size()},
                       {"constraint", constraint_name(problem.constraint)},
                       {"groups", problem.constraint.groups.size()},
                       {"maximise", problem.maximise}};
  report["solver"] = {{"name", result.method},
                      {"energy", number(energy)},
                      {"bound", bounded ? number(bound) : json(nullptr)},
                      {"gap", relative_gap(energy, bound)},
                      {"seconds", result.seconds},
                      {"flips", result.moves},
                      {"optimal", result.optimal},
                      {"proven_ones", proven(result, 1)},
                      {"proven_zeros", proven(result, 0)},
                      {"reason", result.reason}};
  report["pool"] = pool;
  return report;
}

std::string solve_summary(const nlohmann::json& report) {
  const json &problem = report.at("problem"), &solver = report.at("solver");
  std::string text =
      fmt::format("{}: {}, {} variables, {} couplings\n", problem.at("path").get<std::string>(),
                  problem.at("family").get<std::string>(), problem.at("variables").get<int>(),
                  problem.at("couplings").get<std::int64_t>());
  if (!report.at("capacity").is_null())
    text += fmt::format("  capacity    {} {}\n", problem.at("constraint").get<std::string>(),
                        shown(report.at("capacity")));
  text +=
      fmt::format("  {}   {}{}\n", problem.at("maximise").get<bool>() ? "objective" : "energy   ",
                  shown(report.at("energy")), solver.at("optimal").get<bool>() ? "  (proven optimal)" : "");
  if (!solver.at("bound").is_null() && !solver.at("optimal").get<bool>())
    text += fmt::format("  bound       {}{}\n", shown(solver.at("bound")),
                        solver.at("gap").is_null()
                            ? ""
                            : fmt::format("  (gap {:.3g} %)", 100 * solver.at("gap").get<double>()));
  const auto x = report.at("x").get<Mask>();
  text += fmt::format("  ones        {}\n", kept_count(x));
  const std::size_t ones = solver.at("proven_ones").size(), zeros = solver.at("proven_zeros").size();
  if (ones + zeros > 0)
    text += fmt::format("  proven      {} to be 1, {} to be 0 in every optimal solution\n", ones, zeros);
  text += fmt::format("  {}: {} flips in {:.2f} s, ended by {}\n", solver.at("name").get<std::string>(),
                      solver.at("flips").get<std::int64_t>(), solver.at("seconds").get<double>(),
                      solver.at("reason").get<std::string>());
  return text;
}

}  // namespace quboprune
