#include "solvers/roof_dual.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <boost/range/iterator_range.hpp>
#include <cmath>

#include "solvers/sparse_model.h"

namespace quboprune {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using Network = boost::adjacency_list<
    boost::vecS, boost::vecS, boost::directedS,
    boost::property<boost::vertex_color_t, boost::default_color_type,
                    boost::property<boost::vertex_predecessor_t, Traits::edge_descriptor,
                                    boost::property<boost::vertex_distance_t, long>>>,
    boost::property<boost::edge_capacity_t, std::int64_t,
                    boost::property<boost::edge_residual_capacity_t, std::int64_t,
                                    boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

/// The free variables' own coefficients and couplings; the rest is an offset.
struct Terms {
  double offset = 0, magnitude = 0;
  bool whole = false;  ///< all of them, and small enough to be added without rounding
  std::vector<double> linear;
  std::vector<Qubo::Pair> pairs;
};

Terms free_terms(const Qubo& qubo, const std::vector<std::int8_t>& fixed) {
  Terms terms;
  terms.offset = qubo.offset();
  terms.linear.assign(qubo.linear().begin(), qubo.linear().end());
  qubo.for_each_coupling([&](int i, int j, double value) {
    const int of_i = fixed[static_cast<std::size_t>(i)], of_j = fixed[static_cast<std::size_t>(j)];
    if (of_i < 0 && of_j < 0) {
      if (value != 0) terms.pairs.push_back({i, j, value});
    } else if (of_i != 0 && of_j != 0) {
      if (of_i < 0) terms.linear[static_cast<std::size_t>(i)] += value;
      if (of_j < 0) terms.linear[static_cast<std::size_t>(j)] += value;
      if (of_i == 1 && of_j == 1) terms.offset += value;
    }
  });
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    if (fixed[i] == 1) terms.offset += terms.linear[i];
    if (fixed[i] >= 0) terms.linear[i] = 0;
    terms.magnitude += std::abs(terms.linear[i]);
  }
  for (const Qubo::Pair& pair : terms.pairs) terms.magnitude += std::abs(pair.value);
  const auto whole = [](double value) { return value == std::floor(value); };
  terms.whole = terms.magnitude + std::abs(terms.offset) < 0x1p50 && whole(terms.offset) &&
                std::ranges::all_of(terms.linear, whole) &&
                std::ranges::all_of(terms.pairs, whole, &Qubo::Pair::value);
  return terms;
}

/// A sum of products of literals with positive weights: literal 2i is x_i, 2i + 1 its complement. An arc says
/// that where its tail is 1 and its head isn't, its weight is to be paid; every term makes two.
class Posiform {
 public:
  /// scale: what a unit of the energy is on the grid.
  Posiform(const Terms& terms, double scale)
      : network_(2 * terms.linear.size() + 2), source_(2 * terms.linear.size()), sink_(source_ + 1) {
    terms_ = static_cast<std::int64_t>(terms.linear.size() + terms.pairs.size());
    std::vector<std::int64_t> own;
    for (const double value : terms.linear) own.push_back(on_grid(value, scale));
    for (const Qubo::Pair& pair : terms.pairs) {
      const std::int64_t weight = on_grid(pair.value, scale);
      const auto i = static_cast<std::size_t>(pair.i), j = static_cast<std::size_t>(pair.j);
      if (weight > 0) {
        add_product(2 * i, 2 * j, weight);
      } else if (weight < 0) {  // w x y = w x + |w| x (1 - y)
        own[i] += weight;
        add_product(2 * i, 2 * j + 1, -weight);
      }
    }
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i] == 0) continue;
      constant_ += std::min<std::int64_t>(own[i], 0);  // w x = w + |w| (1 - x)
      const std::size_t literal = own[i] > 0 ? 2 * i : 2 * i + 1;
      add_arcs(source_, literal ^ 1, literal, sink_, std::abs(own[i]));
    }
  }

  /// What the grid may have changed an energy by, in its units.
  double off_grid() const { return exact_ ? 0 : static_cast<double>(terms_); }

  /// Twice the roof dual, on the grid.
  std::int64_t doubled() {
    return 2 * constant_ + boost::boykov_kolmogorov_max_flow(network_, source_, sink_);
  }

  /// After the flow, by literal: whether it is 1 in every optimum. What the source reaches by arcs that have
  /// anything left may be made 1 at no cost, and a way to a literal that isn't 1 costs at least the least
  /// that an arc of it has left, once for it and once for its twin. So the least left decides, where it is
  /// more than what the grid may have changed: half a unit a term.
  std::vector<bool> decided() const {
    const std::int64_t grid = exact_ ? 0 : 2 * terms_;
    const auto left = boost::get(boost::edge_residual_capacity, network_);
    std::vector<bool> reached(boost::num_vertices(network_), false);
    std::vector<std::size_t> open{source_};
    while (!open.empty()) {
      const std::size_t from = open.back();
      open.pop_back();
      for (const auto arc : boost::make_iterator_range(boost::out_edges(from, network_))) {
        const std::size_t to = boost::target(arc, network_);
        if (reached[to] || left[arc] <= grid) continue;
        reached[to] = true;
        open.push_back(to);
      }
    }
    return reached;
  }

 private:
  std::int64_t on_grid(double value, double scale) {
    const double scaled = value * scale;
    exact_ = exact_ && std::nearbyint(scaled) == scaled;
    return std::llround(scaled);
  }
  void add_product(std::size_t a, std::size_t b, std::int64_t weight) {
    add_arcs(a, b ^ 1, b, a ^ 1, weight);
  }
  void add_arcs(std::size_t from, std::size_t to, std::size_t twin, std::size_t twins_to,
                std::int64_t weight) {
    add_arc(from, to, weight);
    add_arc(twin, twins_to, weight);
  }
  void add_arc(std::size_t from, std::size_t to, std::int64_t weight) {
    const auto arc = boost::add_edge(from, to, network_).first;
    const auto back = boost::add_edge(to, from, network_).first;
    boost::put(boost::edge_capacity, network_, arc, weight);
    boost::put(boost::edge_capacity, network_, back, 0);
    boost::put(boost::edge_reverse, network_, arc, back);
    boost::put(boost::edge_reverse, network_, back, arc);
  }

  Network network_;
  std::size_t source_, sink_;
  std::int64_t constant_ = 0, terms_ = 0;
  bool exact_ = true;
};

/// Few enough couplings for a dual that says something, in a small part of the time?
bool is_worth_a_roof(const Qubo& qubo, double seconds) {
  // At 20 couplings a variable 2 of 3,000 variables were decided (docs/solver.md).
  constexpr double kMost = 300'000, kAlways = 5'000, kOfAVariable = 20, kASecond = 50'000;
  const auto couplings = static_cast<double>(coupling_count(qubo));
  return couplings <= kMost && (couplings <= kAlways ||
                                (couplings <= kOfAVariable * qubo.size() && couplings <= kASecond * seconds));
}

}  // namespace

RoofDual roof_dual(const Qubo& qubo, const Constraint& constraint, double seconds) {
  RoofDual result;
  result.persistent.assign(static_cast<std::size_t>(qubo.size()), -1);
  std::vector<std::int8_t> fixed = constraint.fixed;
  fixed.resize(result.persistent.size(), -1);
  const bool free = constraint.kind == Constraint::Kind::none && constraint.groups.empty();
  if (!free || !qubo.low_rank().empty() || !is_worth_a_roof(qubo, seconds)) return result;
  const Terms terms = free_terms(qubo, fixed);
  if (terms.magnitude == 0) return result;
  // A power of two: what is on the grid stays so.
  const double scale = std::exp2(50 - std::ceil(std::log2(terms.magnitude)));
  Posiform posiform(terms, scale);
  const double value =
      terms.offset + (0.5 * static_cast<double>(posiform.doubled()) - posiform.off_grid()) / scale;
  // Whole numbers of at most 2^50 are added without rounding.
  result.bound = terms.whole ? std::ceil(value) : value - 2e-15 * (terms.magnitude + std::abs(terms.offset));
  const std::vector<bool> decided = posiform.decided();
  for (std::size_t i = 0; i < terms.linear.size(); ++i) {
    if (decided[2 * i]) result.persistent[i] = 1;
    if (decided[2 * i + 1]) result.persistent[i] = 0;
  }
  return result;
}

}  // namespace quboprune
