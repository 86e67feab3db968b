#pragma once

#include <optional>
#include <span>
#include <vector>

#include "judging/difference_model.h"

namespace quboprune {

/// P(T > t) for Student's t with `degrees` >= 1 degrees of freedom.
double upper_tail(double t, int degrees);

/// Of at least two differences, as an estimate from a sample.
double variance_of(std::span<const double> differences);

/// How a race decides.
///
/// With few samples a mask's own variance is known badly, and Student's t pays for that. But the masks of a
/// search are much alike: the variance is taken as the weighted mean of its own and an earlier one (moderated
/// t, Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3(1); its number of prior
/// degrees is estimated there, and small and fixed here). The test stays exact where variances scatter as the
/// prior's degrees say, and errs to the safe side where they scatter less or the earlier ones are larger.
struct RaceRule {
  int samples = 0;      ///< in all
  int looks = 1;        ///< at most, in a race
  double error = 0.01;  ///< of giving up a mask that isn't worse, over all looks
  double range = 0;     ///< largest minus smallest possible difference; 0: no bound is known
  /// Variance of a mask's differences as earlier masks had it, which counts like kPriorDegrees more degrees
  /// of freedom; 0: not known.
  double prior_variance = 0;
  static constexpr int kPriorDegrees = 4;
  static constexpr int kFewestSamples = 4;  ///< before which nothing is given up

  /// Is the mean difference over all samples positive, as far as the first ones (drawn without replacement)
  /// tell? look: how many times the race has been looked at, this one counted, 1..looks. The error is shared
  /// out as 1 : 1/2 : 1/3 ...: a mask given up early saves the most, and few samples need a level that isn't
  /// too strict (with 4 samples Student's t has 3 degrees of freedom).
  bool hopeless(std::span<const double> differences, int look) const;
  /// The same by an expectation whose deviation is thought to be `doubt` times as large as it says.
  bool hopeless(const ExpectedDifference& expected, double doubt, int look) const;

 private:
  double level(int look) const;
};

/// A mask in a race: its differences from the leader, lower is better, in the order in which samples were
/// seen, and what they were expected to be over all samples, look by look.
struct Contender {
  std::vector<double> differences{};
  std::vector<ExpectedDifference> expected{};
  bool by_expectation = false;  ///< whether the last of them decided of it, not the differences seen

  /// The mean over all samples, by what decided of it.
  double mean() const;
};

/// One call's race. Goes by the model of differences where it is ready and the rule knows no range, otherwise
/// by the mean of what was seen as if samples came in random order. Expectations are formed for comparison
/// before they decide anything.
class Race {
 public:
  Race(const RaceRule& rule, const DifferenceModel& model) : rule_(rule), model_(model) {}

  /// The next look: after these samples (numbers), in the order of Contender::differences.
  void see(std::span<const std::size_t> samples);
  bool gives_up(Contender& contender) const;

 private:
  RaceRule rule_;
  const DifferenceModel& model_;
  std::vector<std::size_t> seen_;
  std::optional<DifferenceModel::Seen> told_;
  int look_ = 0;
};

}  // namespace quboprune
