#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "quboprune/mask.h"

namespace quboprune {

/// What a target counts.
enum class Cost { filters, params, macs };

/// From "filters", "params" or "macs". Throws InputError otherwise.
Cost cost_from_name(const std::string& name);
std::string name_of(Cost cost);

/// Parameters and multiply-accumulates of the rebuilt network as functions of the mask: sums of products of
/// axes' sizes, each size a sum over kept groups. A convolution's is k² · (kept in) · (kept out), so both are
/// quadratic in the mask. Exact: it equals a count on the rebuilt network. Parameters are the elements of all
/// floating-point constants that a run reads (a batch norm's statistics too), each constant once;
/// multiply-accumulates are those of one run on the analysed input size.
class CostModel {
 public:
  /// Size of one axis: `fixed` indices that stay, and for each group how many indices of the axis it holds.
  struct Factor {
    int fixed = 0;
    std::vector<std::pair<int, int>> groups;  ///< group, count; ascending groups
    bool operator<(const Factor& other) const {
      return std::tie(fixed, groups) < std::tie(other.fixed, other.groups);
    }
  };
  struct Term {
    double coefficient = 0;
    std::vector<int> factors;
    bool shares = false;  ///< a group counts in several factors; set by add()
  };

  explicit CostModel(int groups = 0) : groups_(groups) {}
  int add_factor(Factor factor);   ///< equal factors get the same number
  void add(Cost cost, Term term);  ///< its factors have been added

  int groups() const { return groups_; }
  const std::vector<Factor>& factors() const { return factors_; }
  /// Of parameters or multiply-accumulates; filters are no products.
  const std::vector<Term>& terms(Cost cost) const;

  /// mask: one entry a group, else InputError, here and in sizes() and marginals(). Filters: the number of
  /// kept groups.
  double value(Cost cost, const Mask& mask) const;
  /// The same for axes of these sizes, one for each factor; parameters and multiply-accumulates only.
  double value(Cost cost, const std::vector<double>& sizes) const;
  /// For each factor, how many of its axis's indices a mask leaves.
  std::vector<double> sizes(const Mask& mask) const;
  /// For each group alone, the others as they are: value(kept) - value(removed). Never negative.
  std::vector<double> marginals(Cost cost, const Mask& mask) const;
  /// Groups that together are all of some axis: at least one of each set must stay.
  std::vector<std::vector<int>> covers() const;

 private:
  bool shares_a_group(const Term& term) const;
  void add_shared_marginals(const Term& term, const std::vector<double>& size, const Mask& mask,
                            std::vector<double>& result) const;

  int groups_;
  std::vector<Factor> factors_;
  std::map<Factor, int> numbers_;
  std::vector<Term> parameters_, macs_;
};

}  // namespace quboprune
