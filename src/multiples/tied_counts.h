#pragma once

#include <map>
#include <utility>
#include <vector>

namespace quboprune {

/// What an axis asks of the bundles (sets of interchangeable groups) that it holds.
struct CountDemand {
  int fixed = 0;                             ///< channels that stay anyway
  std::vector<std::pair<int, int>> bundles;  ///< bundle, channels of each of its groups; ascending bundles
  bool even = false;                         ///< a multiple of channels, or all
  bool filled = false;                       ///< never empty
};

/// How many of each of some bundles stay.
struct CountChoice {
  std::vector<int> kept;
  int total = 0;     ///< groups
  double worth = 0;  ///< as asked
};

/// Numbers to keep of bundles that axes tie to each other: halves of 12 and 12 that one convolution makes may
/// keep 8 and 8 in multiples of 8, not 8 and 12.
///
/// Bundles are gone through one by one; what a demand has got so far matters only by its remainder, by
/// whether it is all, and whether it is anything, so that few states are to be told apart. Only those from
/// which all demands can still be met are followed.
class TiedCounts {
 public:
  /// sizes: groups by bundle, at least 1; demands name bundles by their place there.
  TiedCounts(std::vector<int> sizes, std::vector<CountDemand> demands, int multiple);

  /// May the bundle keep fewer than all, in some way that meets all demands?
  bool reducible(int bundle) const { return reducible_[static_cast<std::size_t>(bundle)]; }
  /// For each number of groups that can be kept the choice of most worth, ascending; the last keeps all.
  /// worth[b][k]: of keeping k groups of bundle b. Beyond some thousand states a beam: the best of each
  /// number.
  std::vector<CountChoice> choices(const std::vector<std::vector<double>>& worth) const;

 private:
  using State = std::vector<int>;  // by demand, in one number: remainder, all so far, anything so far
  State start() const;
  bool take(State& state, std::size_t bundle, int kept) const;
  std::vector<int> distinct_counts(std::size_t bundle) const;
  void explore();

  struct Use {
    std::size_t demand;
    int each;
    bool last;  ///< the demand holds no later bundle
  };
  std::vector<int> sizes_;
  std::vector<CountDemand> demands_;
  int multiple_;
  std::vector<std::vector<Use>> uses_;            // by bundle
  std::vector<std::map<State, bool>> reachable_;  // before each bundle and at the end; can all still be met?
  std::vector<bool> reducible_;
};

}  // namespace quboprune
