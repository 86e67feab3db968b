#include "solvers/persistency.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "solvers/semidefinite_bound.h"

namespace quboprune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kSweeps = 100;

/// A variable's choice of company: what it is worth, from which value on others are in, and what fills the
/// place of one that leaves.
struct Company {
  double value = 0, last = 0, next = 0;
};

/// Of `values` (the shares of one variable, its own place left out) the company under the constraint.
Company company_of(std::vector<double>& values, const ReducedProblem& problem) {
  Company company;
  const bool counted = problem.kind != Constraint::Kind::none;
  const bool exactly = problem.kind == Constraint::Kind::exactly;
  const auto room = static_cast<std::size_t>(
      counted ? std::clamp(std::floor(problem.capacity - 1 + 1e-9), 0.0, static_cast<double>(values.size()))
              : static_cast<double>(values.size()));
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(room);
  if (room < values.size()) std::nth_element(values.begin(), place, values.end());
  const double highest = room > 0 ? *std::max_element(values.begin(), place) : -kInfinity;
  const double following = room < values.size() ? *place : kInfinity;
  for (auto value = values.begin(); value != place; ++value)
    company.value += exactly ? *value : std::min(0.0, *value);
  const bool full = room < values.size() && (exactly || highest < 0);
  company.last = full ? highest : exactly ? kInfinity : 0;
  company.next = exactly ? following : std::min(0.0, following);
  return company;
}

class Probe {
 public:
  Probe(const ReducedProblem& problem, const std::vector<double>& shares)
      : problem_(problem), shares_(shares), company_(problem.size()) {
    for (std::size_t i = 0; i < problem.size(); ++i) company_[i] = company(i);
  }

  /// A lower bound over the solutions with x_i = value.
  double bound(std::size_t i, bool value) {
    const std::size_t n = problem_.size();
    others_.clear();
    values_.resize(n);
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      others_.push_back(j);
      // j's share of their coupling; both shares make the coupling.
      const double share = problem_.coupling(i, j) - shares_[i * n + j];
      const Company& company = company_[j];
      const double rise = value ? share - company.last : company.next - share;
      values_[j] = finite(company.value + std::max(0.0, rise));
    }
    const double used = problem_.costs.empty() ? 1.0 : problem_.costs[i];
    const double rest = relaxed_choice(problem_, values_.data(), others_,
                                       problem_.capacity - (value ? used : 0), order_, nullptr);
    return problem_.offset + rest + (value ? company_[i].value : 0);
  }

 private:
  Company company(std::size_t i) {
    const std::size_t n = problem_.size();
    const double* row = &shares_[i * n];
    Company result;
    if (problem_.costs.empty()) {
      values_.assign(row, row + n);
      values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(i));
      result = company_of(values_, problem_);
    } else {
      // Under costs no other variable's choice is looked into.
      others_.clear();
      for (std::size_t j = 0; j < n; ++j)
        if (j != i) others_.push_back(j);
      result = {
          relaxed_choice(problem_, row, others_, problem_.capacity - problem_.costs[i], order_, nullptr),
          kInfinity, -kInfinity};
    }
    result.value = finite(result.value + problem_.linear[i]);
    return result;
  }

  double finite(double value) const { return std::min(value, problem_.prohibitive()); }

  const ReducedProblem& problem_;
  const std::vector<double>& shares_;
  std::vector<Company> company_;
  std::vector<double> values_;
  std::vector<std::size_t> others_, order_;
};

/// The problem's linear terms and constant, and the items left, once some variables are decided.
struct Decided {
  std::vector<std::size_t> items;
  std::vector<double> linear;
  double constant = 0;
  Mask x;
};

Decided decide(const ReducedProblem& problem, const Persistencies& values) {
  Decided part{{}, problem.linear, problem.offset, Mask(problem.size(), 0)};
  for (std::size_t i = 0; i < problem.size(); ++i) {
    if (values[i] < 0) part.items.push_back(i);
    if (values[i] != 1) continue;
    part.x[i] = 1;
    part.constant += part.linear[i];
    for (std::size_t j = 0; j < problem.size(); ++j) part.linear[j] += problem.coupling(i, j);
  }
  return part;
}

/// The variables, first those whose flip would cost most.
std::vector<std::size_t> by_loss(const ReducedProblem& problem, const Mask& x) {
  std::vector<double> loss(problem.linear);
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < x.size(); ++j)
      if (x[j] != 0) loss[i] += problem.coupling(i, j);
    if (x[i] != 0) loss[i] = -loss[i];
  }
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return loss[a] > loss[b]; });
  return order;
}

}  // namespace

bool exceeds(const ReducedProblem& problem, double bound, double known) {
  return safe_bound(problem, bound) > known + problem.resolution();
}

Persistencies split_persistencies(const ReducedProblem& problem, const std::vector<double>& shares,
                                  double known) {
  Persistencies decided(problem.size(), -1);
  Probe probe(problem, shares);
  for (std::size_t i = 0; i < problem.size(); ++i) {
    const bool never_0 = exceeds(problem, probe.bound(i, false), known);
    const bool never_1 = exceeds(problem, probe.bound(i, true), known);
    // `known` is a solution's, which has one of the two: where both seem too dear, rounding has decided.
    if (never_0 != never_1) decided[i] = never_0 ? 1 : 0;
  }
  return decided;
}

void relaxed_persistencies(const ReducedProblem& problem, const Mask& x, double known, double seconds,
                           const Deadline& deadline, Persistencies& decided) {
  for (const std::size_t i : by_loss(problem, x)) {
    if (decided[i] >= 0) continue;
    if (deadline.stopped() || deadline.elapsed() + seconds > deadline.seconds()) return;
    const auto own = static_cast<std::int8_t>(x[i]);
    decided[i] = own == 0 ? 1 : 0;
    const Decided part = decide(problem, decided);
    const double bound = semidefinite_bound(
        {problem, part.items, part.linear, part.constant, counts_of(problem, part.items, part.x)}, kSweeps,
        &deadline);
    decided[i] = exceeds(problem, bound, known) ? own : std::int8_t{-1};
  }
}

}  // namespace quboprune
