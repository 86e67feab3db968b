#pragma once

#include <memory>
#include <span>
#include <vector>

#include "quboprune/random.h"
#include "search/feasible.h"
#include "search/ledger.h"

namespace quboprune {

/// Who chose masks: the proposer that is told of them, or another (the model's choice of the train's
/// included).
enum class Origin { own, others };

/// A way to choose the masks that are evaluated next.
class Proposer {
 public:
  virtual ~Proposer() = default;
  /// At most `count` masks that obey the constraint; some may have been seen.
  virtual std::vector<Mask> propose(int count, const Ledger& ledger) = 0;
  /// Told of evaluated batches, those of others too.
  virtual void learn(std::span<const Evaluated> batch, Origin origin, const Ledger& ledger) = 0;
};

/// A proposer with a model of the objective, which can judge the masks of others.
class LocalProposer : public Proposer {
 public:
  /// The `count` masks of which the model expects most, best first.
  virtual std::vector<Mask> screen(std::vector<Mask> masks, int count, const Ledger& ledger) = 0;
};

/// A proposer of samples from a distribution that is fitted to the best masks.
class SampleProposer : public Proposer {
 public:
  /// Forgets what it is fitted to: from now on that is the best of the masks it is told of after this.
  virtual void start_anew() = 0;
};

/// What they are given must outlive them.
std::unique_ptr<LocalProposer> make_local_proposer(const Feasible& feasible, const SearchOptions& options,
                                                   Rng& rng);
std::unique_ptr<SampleProposer> make_train_proposer(const Feasible& feasible, const SearchOptions& options);

}  // namespace quboprune
