#include "solvers/branch_and_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "solvers/semidefinite_bound.h"

namespace quboprune {
namespace {

constexpr std::size_t kWorthRelaxing = 16;
constexpr int kSweepsAtNode = 60;

/// A part of the tree: what is decided, and the rest as a problem of its own.
struct Node {
  Mask x;
  std::vector<std::size_t> free;
  std::vector<double> linear;
  double energy = 0, capacity = 0;
};

class Tree {
 public:
  Tree(const ReducedProblem& problem, const std::vector<double>& shares, double known, std::int64_t max_nodes,
       const Deadline& deadline)
      : problem_(problem),
        shares_(shares),
        max_nodes_(max_nodes),
        deadline_(deadline),
        value_(problem.size()),
        least_gain_(problem.resolution()) {
    result_.energy = known;
    weight_.resize(problem.size());
    for (std::size_t i = 0; i < problem.size(); ++i) {
      weight_[i] = std::abs(problem.linear[i]);
      for (std::size_t j = 0; j < problem.size(); ++j) weight_[i] += std::abs(problem.coupling(i, j));
    }
  }

  ExactResult run() {
    Node root;
    root.x.assign(problem_.size(), 0);
    root.linear = problem_.linear;
    root.energy = problem_.offset;
    root.capacity = problem_.capacity;
    for (std::size_t i = 0; i < problem_.size(); ++i) root.free.push_back(i);
    result_.complete = true;
    visit(std::move(root));
    return result_;
  }

 private:
  double cost(std::size_t i) const { return problem_.costs.empty() ? 1.0 : problem_.costs[i]; }
  bool limited() const { return problem_.kind != Constraint::Kind::none; }

  void fix(Node& node, std::size_t i, bool one) const {
    node.free.erase(std::find(node.free.begin(), node.free.end(), i));
    if (!one) return;
    node.x[i] = 1;
    node.energy += node.linear[i];
    node.capacity -= cost(i);
    for (const std::size_t j : node.free) node.linear[j] += problem_.coupling(i, j);
  }

  /// What variable i would bring at best if it were in.
  double best_value(const Node& node, std::size_t i) {
    const double* row = &shares_[i * problem_.size()];
    double sum = node.linear[i];
    if (!limited()) {
      for (const std::size_t j : node.free) sum += j != i ? std::min(0.0, row[j]) : 0.0;
      return sum;
    }
    others_ = node.free;
    others_.erase(std::find(others_.begin(), others_.end(), i));
    return sum + relaxed_choice(problem_, row, others_, node.capacity - cost(i), order_, nullptr);
  }

  double bound(const Node& node) {
    for (const std::size_t i : node.free) {
      const double value = best_value(node, i);
      value_[i] = std::isfinite(value) ? value : problem_.prohibitive();
    }
    return node.energy + relaxed_choice(problem_, value_.data(), node.free, node.capacity, order_, nullptr);
  }

  bool hopeless(double bound) const { return bound - problem_.rounding() > result_.energy - least_gain_; }

  /// Fixes what would push the bound over the incumbent; true if something was. Only without a capacity
  /// are the variables' shares of the bound independent of each other.
  bool fix_decided(Node& node, double bound) {
    if (limited()) return false;
    const std::vector<std::size_t> candidates = node.free;
    bool any = false;
    for (const std::size_t i : candidates)
      if (hopeless(bound + std::abs(value_[i]))) {
        fix(node, i, value_[i] < 0);
        any = true;
      }
    return any;
  }

  /// The semidefinite bound costs more than a node without it, and cuts far more nodes than that where
  /// there is something left to decide.
  bool relaxation_closes(const Node& node) const {
    if (!problem_.costs.empty() || node.free.size() < kWorthRelaxing ||
        deadline_.elapsed() + semidefinite_seconds(node.free.size()) > deadline_.seconds())
      return false;
    const FreePart part{problem_, node.free, node.linear, node.energy,
                        counts_of(problem_, node.free, node.x)};
    return hopeless(semidefinite_bound(part, kSweepsAtNode, &deadline_));
  }

  void leaf(const Node& node) {
    const bool over = limited() && node.capacity < -problem_.tolerance;
    const bool under = problem_.kind == Constraint::Kind::exactly && node.capacity > problem_.tolerance;
    if (over || under || node.energy > result_.energy - least_gain_) return;
    result_.energy = node.energy;
    result_.x = node.x;
  }

  /// False if a group has too many ones already, or too few that it could still get.
  bool counts_possible(const Node& node) {
    if (problem_.classes.empty()) return true;
    left_.assign(problem_.size(), 0);
    for (const std::size_t i : node.free) left_[i] = 1;
    return std::all_of(problem_.classes.begin(), problem_.classes.end(), [&](const CountClass& counted) {
      int ones = 0, left = 0;
      for (const std::uint32_t i : counted.free) {
        ones += node.x[i];
        left += left_[i];
      }
      return ones <= counted.most && ones + left >= counted.fewest;
    });
  }

  void visit(Node node) {
    ++result_.nodes;
    if (result_.nodes >= max_nodes_ || deadline_.expired()) result_.complete = false;
    if (!result_.complete || !counts_possible(node)) return;
    double lower = bound(node);
    if (hopeless(lower) || relaxation_closes(node)) return;
    while (fix_decided(node, lower)) {
      lower = bound(node);
      if (hopeless(lower)) return;
    }
    if (node.free.empty()) {
      leaf(node);
      return;
    }
    const std::size_t i =
        *std::max_element(node.free.begin(), node.free.end(),
                          [&](std::size_t a, std::size_t b) { return weight_[a] < weight_[b]; });
    const bool one_first = value_[i] < 0;
    Node other = node;
    fix(node, i, one_first);
    visit(std::move(node));
    fix(other, i, !one_first);
    visit(std::move(other));
  }

  const ReducedProblem& problem_;
  const std::vector<double>& shares_;
  std::int64_t max_nodes_;
  const Deadline& deadline_;
  std::vector<double> value_, weight_;
  std::vector<std::size_t> others_, order_;
  std::vector<int> left_;
  double least_gain_;
  ExactResult result_;
};

}  // namespace

ExactResult branch_and_bound(const ReducedProblem& problem, const std::vector<double>& shares, double known,
                             std::int64_t max_nodes, const Deadline& deadline) {
  return Tree(problem, shares, known, max_nodes, deadline).run();
}

}  // namespace quboprune
