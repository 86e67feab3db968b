#include <cmath>

#include "qubo/formats.h"
#include "qubo/json_text.h"

namespace quboprune {
namespace {

using nlohmann::json;

/// Of a coefficient: four times as much, for a spin's, is finite.
constexpr double kLargest = 1e300;

/// Reads the model at `path` of a JSON text.
class BqmReader {
 public:
  BqmReader(const JsonText& text, std::string path) : text_(text), path_(std::move(path)) {}

  Problem read() const {
    const json& root = text_.root().at(json::json_pointer(path_));
    if (!root.is_object() || member(root, "type") != "BinaryQuadraticModel")
      fail("",
           "the JSON is no BinaryQuadraticModel (nor a ConstrainedQuadraticModel): write it with dimod's "
           "to_serializable()");
    if (member(root, "use_bytes") == true)
      fail("/use_bytes", "the biases are stored as bytes: write the model with use_bytes=False");
    const std::vector<double> linear = numbers(root, "linear_biases");
    const std::vector<double> values = numbers(root, "quadratic_biases");
    const std::vector<double> head = numbers(root, "quadratic_head");
    const std::vector<double> tail = numbers(root, "quadratic_tail");
    if (head.size() != values.size() || tail.size() != values.size())
      fail("/quadratic_biases",
           "quadratic_biases, quadratic_head and quadratic_tail differ in length: give one each per pair");
    if (linear.empty()) fail("/linear_biases", "linear_biases is empty: give one entry per variable");
    const json& type = member(root, "variable_type");
    if (type != "BINARY" && type != "SPIN")
      fail(root.contains("variable_type") ? "/variable_type" : "", "variable_type must be BINARY or SPIN");
    Problem problem;
    problem.format = "bqm";
    problem.qubo = Qubo(static_cast<int>(linear.size()));
    const json& offset = member(root, "offset");
    if (!offset.is_null() && !offset.is_number()) fail("/offset", "offset must be a number");
    if (offset.is_number()) problem.qubo.add_offset(offset.get<double>());
    fill(problem.qubo, type == "SPIN", linear, head, tail, values);
    return problem;
  }

 private:
  [[noreturn]] void fail(const std::string& place, const std::string& what) const {
    text_.fail(path_ + place, what);
  }

  std::vector<double> numbers(const json& root, const std::string& key) const {
    const auto found = root.find(key);
    if (found == root.end()) fail("", key + " is missing: give a list of numbers");
    if (!found->is_array()) fail("/" + key, key + " must be a list of numbers");
    std::vector<double> list;
    for (const json& entry : *found) {
      if (!entry.is_number())
        fail("/" + key + "/" + std::to_string(list.size()),
             "an entry of " + key + " is no number: write the model with dimod's schema 3");
      list.push_back(entry.get<double>());
      if (!(std::abs(list.back()) <= kLargest))
        fail("/" + key + "/" + std::to_string(list.size() - 1),
             "an entry of " + key + " is too large: scale the problem");
    }
    return list;
  }

  int index(const std::string& key, std::size_t entry, double value, std::size_t n) const {
    if (!(value >= 0) || value >= static_cast<double>(n) ||
        value != static_cast<double>(static_cast<int>(value)))
      fail("/" + key + "/" + std::to_string(entry),
           "a pair names variable " + json(value).dump() + ": indices go from 0 to " + std::to_string(n - 1));
    return static_cast<int>(value);
  }

  /// Spins are s = 2x - 1.
  void fill(Qubo& qubo, bool spin, const std::vector<double>& linear, const std::vector<double>& head,
            const std::vector<double>& tail, const std::vector<double>& values) const {
    for (std::size_t i = 0; i < linear.size(); ++i) {
      qubo.add_linear(static_cast<int>(i), spin ? 2 * linear[i] : linear[i]);
      if (spin) qubo.add_offset(-linear[i]);
    }
    for (std::size_t e = 0; e < values.size(); ++e) {
      const int i = index("quadratic_head", e, head[e], linear.size());
      const int j = index("quadratic_tail", e, tail[e], linear.size());
      if (i == j)
        fail("/quadratic_tail/" + std::to_string(e),
             "a pair joins variable " + std::to_string(i) + " with itself: use linear_biases");
      qubo.add_pair(i, j, spin ? 4 * values[e] : values[e]);
      if (!spin) continue;
      qubo.add_linear(i, -2 * values[e]);
      qubo.add_linear(j, -2 * values[e]);
      qubo.add_offset(values[e]);
    }
  }

  const JsonText& text_;
  std::string path_;
};

}  // namespace

Problem read_bqm(const JsonText& text, const std::string& path) {
  return BqmReader(text, path).read();
}

Problem read_json(std::string_view text, const std::string& name) {
  const JsonText parsed(text, name);
  const json& root = parsed.root();
  const bool constrained = root.is_object() && member(root, "type") == "ConstrainedQuadraticModel";
  return constrained ? read_cqm(parsed) : read_bqm(parsed, "");
}

}  // namespace quboprune
