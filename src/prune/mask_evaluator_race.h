#pragma once

#include <span>

namespace quboprune {

/// P(T > t) for Student's t with `degrees` >= 1 degrees of freedom.
/// Source: the finite sums of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
double upper_tail(double t, int degrees);

/// How a race decides.
struct RaceRule {
  int samples = 0;        ///< in all
  int looks = 1;          ///< at most, in a race
  double error = 0.01;    ///< of giving up a mask that isn't worse, over all looks
  double range = 0;       ///< largest minus smallest possible difference; 0: no bound is known
  int least_samples = 4;  ///< before which nothing is given up

  /// Is the mean difference over all samples positive, as far as the first ones (drawn without replacement)
  /// tell? look: how many times the race has been looked at, this one counted, 1..looks. The error is shared
  /// out as 1 : 1/2 : 1/3 ...: a mask given up early saves the most, and few samples need a level that isn't
  /// too strict (with 4 samples Student's t has 3 degrees of freedom).
  bool hopeless(std::span<const double> differences, int look) const;
};

}  // namespace quboprune
