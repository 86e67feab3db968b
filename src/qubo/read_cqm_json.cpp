#include <algorithm>
#include <cmath>
#include <limits>

#include "qubo/formats.h"
#include "qubo/json_text.h"

namespace quboprune {
namespace {

using nlohmann::json;

constexpr std::size_t kShownLabel = 80;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// low <= sum of coefficients times x <= high.
struct Row {
  std::string label, path;
  std::vector<int> variables;
  std::vector<double> coefficients;
  double low = -kInfinity, high = kInfinity;

  bool equal_coefficients() const {
    return std::all_of(coefficients.begin(), coefficients.end(),
                       [&](double c) { return c == coefficients.front(); });
  }
  void scale(double factor) {
    for (double& c : coefficients) c *= factor;
    low *= factor;
    high *= factor;
    if (factor < 0) std::swap(low, high);
  }
};

/// Sorts linear constraints into fixed variables, counts, groups and costs.
class ConstraintReader {
 public:
  ConstraintReader(const JsonText& text, int variables) : text_(text), n_(variables) {}

  void add(const json& entry, const std::string& path) {
    Row row = parsed(entry, path);
    if (row.variables.empty()) {
      if (row.low > 0 || row.high < 0) fail(row, "can't be met: its coefficients are all 0");
      return;
    }
    if (row.coefficients.front() < 0) row.scale(-1);
    if (row.equal_coefficients())
      add_count(row);
    else
      add_costs(row);
  }

  Constraint result() const {
    if (!result_.costs.empty() && (!result_.groups.empty() || counted_))
      text_.fail("/constraints",
                 "costs beside counts: only one constraint may have unequal coefficients, alone");
    return with_the_count_of_all();
  }

 private:
  /// A group of all variables is the constraint's own count where that can say it.
  Constraint with_the_count_of_all() const {
    Constraint result = result_;
    const auto n = static_cast<std::size_t>(n_);
    for (std::size_t g = 0; g < result.groups.size(); ++g) {
      const Constraint::Group& group = result.groups[g];
      if (group.variables.size() != n || (group.least != group.most && group.least != 0)) continue;
      result.kind = group.least == group.most ? Constraint::Kind::exactly : Constraint::Kind::at_most;
      result.capacity = group.most;
      result.groups.erase(result.groups.begin() + static_cast<std::ptrdiff_t>(g));
      break;
    }
    return result;
  }

  /// `place` within the row: "/rhs"; the row itself is "".
  [[noreturn]] void fail(const Row& row, const std::string& what, const std::string& place = "") const {
    text_.fail(row.path + place, "the constraint '" + row.label.substr(0, kShownLabel) + "' " + what);
  }

  Row parsed(const json& entry, const std::string& path) const {
    Row row;
    row.path = path;
    if (!entry.is_object()) fail(row, "is no object: give label, variables, coefficients, sense and rhs");
    if (entry.contains("label"))
      row.label = entry["label"].is_string() ? entry["label"].get<std::string>() : "?";
    const json &sense = member(entry, "sense"), &rhs = member(entry, "rhs");
    if (!rhs.is_number()) fail(row, "has no number rhs", rhs.is_null() ? "" : "/rhs");
    if (sense != "==" && sense != "<=" && sense != ">=")
      fail(row, "has no sense: give ==, <= or >=", sense.is_null() ? "" : "/sense");
    if (sense != "<=") row.low = rhs.get<double>();
    if (sense != ">=") row.high = rhs.get<double>();
    read_terms(entry, row);
    return row;
  }

  void read_terms(const json& entry, Row& row) const {
    const json &variables = member(entry, "variables"), &coefficients = member(entry, "coefficients");
    if (!variables.is_array() || !coefficients.is_array() || variables.size() != coefficients.size())
      fail(row, "needs lists of as many variables as coefficients");
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(n_), 0);
    for (std::size_t k = 0; k < variables.size(); ++k) {
      const std::string place = "/" + std::to_string(k);
      if (!variables[k].is_number_integer())
        fail(row, "names its variables by place (0, 1, ...) only", "/variables" + place);
      if (!coefficients[k].is_number())
        fail(row, "has a coefficient that is no number", "/coefficients" + place);
      if (variables[k] < 0 || variables[k] >= n_)
        fail(row, "names variable " + variables[k].dump() + ": they go from 0 to " + std::to_string(n_ - 1),
             "/variables" + place);
      const auto i = variables[k].get<std::int64_t>();
      if (seen[static_cast<std::size_t>(i)]++ != 0)
        fail(row, "names variable " + std::to_string(i) + " twice", "/variables" + place);
      if (coefficients[k] == 0) continue;
      row.variables.push_back(static_cast<int>(i));
      row.coefficients.push_back(coefficients[k].get<double>());
    }
  }

  void add_count(Row& row) {
    row.scale(1 / row.coefficients.front());
    const auto size = static_cast<double>(row.variables.size());
    const int least = static_cast<int>(std::ceil(std::clamp(row.low, 0.0, size + 1) - 1e-9));
    const int most = static_cast<int>(std::floor(std::clamp(row.high, -1.0, size) + 1e-9));
    if (least > most)
      fail(row, "can't be met by " + std::to_string(row.variables.size()) + " variables of 0 and 1");
    if (row.variables.size() == 1) {
      if (least == most) fix(row, row.variables.front(), static_cast<std::int8_t>(most));
      return;
    }
    counted_ = true;
    std::sort(row.variables.begin(), row.variables.end());
    for (Constraint::Group& group : result_.groups)
      if (group.variables == row.variables) {
        group.least = std::max(group.least, least);
        group.most = std::min(group.most, most);
        if (group.least > group.most) fail(row, "contradicts another of the same variables");
        return;
      }
    result_.groups.push_back({row.variables, least, most});
  }

  void fix(const Row& row, int variable, std::int8_t value) {
    if (result_.fixed.empty()) result_.fixed.assign(static_cast<std::size_t>(n_), -1);
    std::int8_t& fixed = result_.fixed[static_cast<std::size_t>(variable)];
    if (fixed >= 0 && fixed != value) fail(row, "contradicts another of the same variable");
    fixed = value;
  }

  void add_costs(const Row& row) {
    if (!result_.costs.empty() || result_.kind != Constraint::Kind::none)
      fail(row, "has unequal coefficients beside another constraint: only one such can be kept, alone");
    if (std::any_of(row.coefficients.begin(), row.coefficients.end(), [](double c) { return c < 0; }))
      fail(row, "has coefficients of both signs, which can't be kept as costs");
    if (row.low != -kInfinity && row.low != row.high)
      fail(row, "asks for at least a sum of costs: give at most or exactly");
    result_.costs.assign(static_cast<std::size_t>(n_), 0.0);
    for (std::size_t k = 0; k < row.variables.size(); ++k)
      result_.costs[static_cast<std::size_t>(row.variables[k])] = row.coefficients[k];
    result_.kind = row.low == row.high ? Constraint::Kind::exactly : Constraint::Kind::at_most;
    result_.capacity = row.high;
  }

  const JsonText& text_;
  int n_;
  bool counted_ = false;
  Constraint result_;
};

}  // namespace

Problem read_cqm(const JsonText& text) {
  const json& root = text.root();
  if (!root.contains("objective")) text.fail("", "the model has no objective: give a BinaryQuadraticModel");
  Problem problem = read_bqm(text, "/objective");
  problem.format = "cqm";
  const json& constraints = member(root, "constraints");
  if (!constraints.is_null() && !constraints.is_array())
    text.fail("/constraints", "constraints must be a list");
  if (!constraints.empty() && root["objective"]["variable_type"].get<std::string>() == "SPIN")
    text.fail("/objective/variable_type",
              "constraints of SPIN variables can't be read: change the model to BINARY");
  ConstraintReader reader(text, problem.qubo.size());
  for (std::size_t k = 0; k < constraints.size(); ++k)
    reader.add(constraints[k], "/constraints/" + std::to_string(k));
  problem.constraint = reader.result();
  return problem;
}

}  // namespace quboprune
