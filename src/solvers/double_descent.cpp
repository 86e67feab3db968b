#include "solvers/double_descent.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "solvers/count_classes.h"
#include "solvers/feasible.h"
#include "solvers/sparse_model.h"

namespace quboprune {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class Descent {
 public:
  Descent(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline)
      : problem_(qubo), model_(problem_), constraint_(constraint), deadline_(deadline) {
    const bool counted = constraint.kind != Constraint::Kind::none;
    most_ = counted ? static_cast<int>(std::min<double>(qubo.size(), constraint.capacity)) : qubo.size();
    exactly_ = constraint.kind == Constraint::Kind::exactly;
  }

  void start_from(const Mask& x) {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i] != 0) flip(i);
  }

  void drop_the_cheapest() {
    for (std::size_t i = best(1); i != kNone && !deadline_.expired(); i = best(1)) {
      if (kept_ <= most_ && (exactly_ || model_.gain(i) >= 0)) return;
      flip(i);
    }
  }

  void swap_while_it_pays() {
    while (!deadline_.expired()) {
      const double before = model_.energy();
      const std::size_t out = best(1);
      if (out == kNone) return;  // all that is kept is fixed: a swap needs both
      flip(out);
      const std::size_t in = best(0);  // `out` at worst
      flip(in);
      // Above the rounding of the energy's sum; gains are recomputed from fields that drift no faster.
      if (model_.energy() < before - 1e-13 * std::abs(before)) continue;
      flip(in);
      flip(out);
      return;
    }
  }

  bool feasible() const { return exactly_ ? kept_ == most_ : kept_ <= most_; }
  const Mask& x() const { return model_.x(); }

 private:
  void flip(std::size_t i) {
    kept_ += model_.x()[i] != 0 ? -1 : 1;
    model_.flip(i);
  }
  /// The free variable of that value whose flip costs least.
  std::size_t best(std::uint8_t value) const {
    std::size_t found = kNone;
    double least = 0;
    for (std::size_t i = 0; i < model_.size(); ++i) {
      if (model_.x()[i] != value || (!constraint_.fixed.empty() && constraint_.fixed[i] >= 0)) continue;
      const double gain = model_.gain(i);
      if (found == kNone || gain < least) found = i, least = gain;
    }
    return found;
  }

  StructuredProblem problem_;
  StructuredModel model_;
  const Constraint& constraint_;
  const Deadline& deadline_;
  int most_ = 0, kept_ = 0;
  bool exactly_ = false;
};

/// Flips and swaps, class by class of what is counted together, or under a budget of costs.
class Polish {
 public:
  Polish(const StructuredProblem& problem, const Constraint& constraint, const Mask& x,
         const Deadline& deadline)
      : model_(problem), costs_(constraint.costs), deadline_(deadline) {
    Constraint counted = constraint;
    if (!costs_.empty()) {
      counted.costs.clear();
      counted.kind = Constraint::Kind::none;
      left_ = constraint.capacity + cost_tolerance(constraint);
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] == 0) continue;
      model_.flip(i);
      left_ -= cost(i);
    }
    for (CountClass& of : count_classes(counted, x.size())) {
      int kept = 0;
      for (const auto i : of.free) kept += x[i];
      classes_.push_back({std::move(of), kept});
    }
  }

  void run() {
    for (bool gained = true; gained && !deadline_.expired();) {
      gained = false;
      for (Class& of : classes_) gained = flip_while_it_pays(of) || gained;
      if (gained) continue;
      for (Class& of : classes_) gained = swap_once_through(of) || gained;
    }
  }
  const Mask& x() const { return model_.x(); }

 private:
  struct Class {
    CountClass of;
    int kept = 0;
  };

  double cost(std::size_t i) const { return costs_.empty() ? 0 : costs_[i]; }
  /// Above the rounding of the energy's sum; fields drift no faster.
  bool pays(double change) const { return change < -1e-13 * std::abs(model_.energy()); }
  void flip(std::size_t i) {
    left_ += model_.x()[i] != 0 ? cost(i) : -cost(i);
    model_.flip(i);
  }

  bool flip_while_it_pays(Class& c) {
    bool any = false;
    if (c.of.exact()) return any;
    for (bool gained = true; gained && !deadline_.expired();) {
      gained = false;
      for (const auto i : c.of.free) {
        const bool on = model_.x()[i] != 0;
        if (!pays(model_.gain(i)) || (on ? c.kept <= c.of.fewest : c.kept >= c.of.most) ||
            (!on && cost(i) > left_))
          continue;
        flip(i);
        c.kept += on ? -1 : 1;
        gained = any = true;
      }
    }
    return any;
  }

  bool swap_once_through(Class& c) {
    bool any = false;
    std::vector<std::uint32_t> ones, zeros;
    for (const auto i : c.of.free) (model_.x()[i] != 0 ? ones : zeros).push_back(i);
    for (auto& out : ones) {
      if (deadline_.expired()) return any;
      for (auto& in : zeros) {
        const double change = model_.gain(out) + model_.gain(in) - model_.coupling(out, in);
        if (!pays(change) || cost(in) - cost(out) > left_) continue;
        flip(out);
        flip(in);
        std::swap(out, in);
        any = true;
      }
    }
    return any;
  }

  StructuredModel model_;
  const std::vector<double>& costs_;
  const Deadline& deadline_;
  std::vector<Class> classes_;
  double left_ = 0;
};

}  // namespace

bool has_real_numbers(const Qubo& qubo) {
  auto real = [](double value) { return value != std::floor(value); };
  return !qubo.low_rank().empty() || !qubo.dense_blocks().empty() ||
         std::any_of(qubo.linear().begin(), qubo.linear().end(), real) ||
         std::any_of(qubo.pairs().begin(), qubo.pairs().end(),
                     [&](const Qubo::Pair& pair) { return real(pair.value); });
}

Mask backward_greedy(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline) {
  Descent descent(qubo, constraint, deadline);
  Mask all(static_cast<std::size_t>(qubo.size()), 1);
  for (std::size_t i = 0; i < constraint.fixed.size(); ++i)
    if (constraint.fixed[i] == 0) all[i] = 0;
  descent.start_from(all);
  descent.drop_the_cheapest();
  if (!descent.feasible()) return {};
  descent.swap_while_it_pays();
  return descent.x();
}

Mask greedy_within_budget(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline) {
  const StructuredProblem problem(qubo);
  StructuredModel model(problem);
  double left = constraint.capacity + cost_tolerance(constraint);
  const auto add = [&](std::size_t i) {
    left -= constraint.costs[i];
    model.flip(i);
  };
  for (std::size_t i = 0; i < constraint.fixed.size(); ++i)
    if (constraint.fixed[i] == 1) add(i);
  while (!deadline.expired()) {
    std::size_t best = kNone;
    double best_rate = 0;
    for (std::size_t i = 0; i < model.size(); ++i) {
      if (model.x()[i] != 0 || (!constraint.fixed.empty() && constraint.fixed[i] >= 0)) continue;
      if (constraint.costs[i] > left || !(model.gain(i) < 0)) continue;
      const double rate = model.gain(i) / std::max(constraint.costs[i], std::numeric_limits<double>::min());
      if (rate < best_rate) best = i, best_rate = rate;
    }
    if (best == kNone) return model.x();
    add(best);
  }
  return {};
}

Mask polished(const Qubo& qubo, const Constraint& constraint, const Mask& x, const Deadline& deadline) {
  const bool costs = !constraint.costs.empty();
  if (costs && constraint.kind == Constraint::Kind::exactly) return x;
  const StructuredProblem problem(qubo);
  Polish polish(problem, constraint, x, deadline);
  polish.run();
  return polish.x();
}

}  // namespace quboprune
