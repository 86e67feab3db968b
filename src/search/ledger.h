#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "quboprune/mask_search.h"

namespace quboprune {

struct Evaluated {
  Mask mask;
  double value = 0;
};

/// Keeps account of a search: each mask is evaluated once, within the limits, and saved.
class Ledger {
 public:
  /// Reads options.state where it is there; throws InputError if it can't be read or written, or belongs to
  /// another problem.
  Ledger(const MaskObjective& objective, int n, const SearchOptions& options, const Control& control);

  /// Whether a limit is reached; result().reason then says which.
  bool finished();
  bool seen(const Mask& mask) const { return values_.contains(key(mask)); }
  /// Evaluates what of `masks` is new and within the number of evaluations; the rest is left out.
  std::vector<Evaluated> evaluate(std::span<const Mask> masks);
  /// The best masks so far, at most options.top, best first.
  const std::vector<Evaluated>& elite() const { return elite_; }

  SearchResult finish(std::string reason);

 private:
  using Clock = std::chrono::steady_clock;
  using Values = std::unordered_map<std::string, double>;  ///< by key(); entries stay where they are
  static std::string key(const Mask& mask);
  void compute(std::span<const Evaluated> items, std::span<const Values::pointer> entries);
  void record(const Evaluated& item);
  void load();
  void save();
  void save_now_and_then();

  const MaskObjective& objective_;
  int n_;
  const SearchOptions& options_;
  const Control& control_;
  Clock::time_point start_ = Clock::now(), saved_ = start_;
  double objective_seconds_ = 0, save_seconds_ = 0;
  Values values_;  ///< of this search
  Values stored_;  ///< from the state file
  std::vector<Evaluated> elite_;
  SearchResult result_;
};

}  // namespace quboprune
