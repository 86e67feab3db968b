#include "quboprune/mask_search.h"

#include <algorithm>
#include <string>

#include "quboprune/error.h"
#include "search/proposer.h"

namespace quboprune {
namespace {

class RandomProposer : public Proposer {
 public:
  RandomProposer(const Feasible& feasible, Rng& rng) : feasible_(feasible), rng_(rng) {}

  std::vector<Mask> propose(int count, const Ledger&) override {
    std::vector<Mask> masks;
    for (int k = 0; k < count; ++k) {
      Mask x(static_cast<std::size_t>(feasible_.size()));
      for (auto& bit : x) bit = static_cast<std::uint8_t>(rng_.below(2));
      if (feasible_.make(x, {}, rng_)) masks.push_back(std::move(x));
    }
    return masks;
  }
  void learn(std::span<const Evaluated>, const Ledger&) override {}

 private:
  const Feasible& feasible_;
  Rng& rng_;
};

void check_options(const SearchOptions& options, int n) {
  const auto names = search_names();
  if (std::find(names.begin(), names.end(), options.method) == names.end())
    throw InputError("mask search: no method \"" + options.method +
                     "\"; take tt, local, tt+local, protes or random");
  if (options.evaluations < 1 || options.batch < 1 || options.top < 1 || options.rank < 1 ||
      options.steps < 1)
    throw InputError("mask search: evaluations, batch, top, rank and steps must be 1 or more");
  if (!(options.learning_rate > 0)) throw InputError("mask search: the learning rate must be positive");
  if (!options.prior.empty() && static_cast<int>(options.prior.size()) != n)
    throw InputError("mask search: " + std::to_string(options.prior.size()) + " prior values for " +
                     std::to_string(n) + " variables; give one each or none");
}

/// Takes turns between the proposers of a method. For tt+local, one turn in four is the train's.
class Turns {
 public:
  Turns(const Feasible& feasible, const SearchOptions& options, Rng& rng) {
    if (options.method == "random") members_.push_back(make_random_proposer(feasible, rng));
    if (options.method.find("local") != std::string::npos)
      members_.push_back(make_local_proposer(feasible, options, rng));
    if (options.method.starts_with("tt") || options.method == "protes")
      members_.push_back(make_train_proposer(feasible, options, rng));
  }
  Proposer& next() {
    const bool second = members_.size() == 2 && turn_++ % 4 == 3;
    return *members_[second ? 1 : 0];
  }
  void learn(std::span<const Evaluated> batch, const Ledger& ledger) {
    for (auto& member : members_) member->learn(batch, ledger);
  }

 private:
  std::vector<std::unique_ptr<Proposer>> members_;
  int turn_ = 0;
};

/// The feasible seeds, the caller's as they are; one of our own where there is none.
std::vector<Mask> first_masks(std::span<const Mask> seeds, const Feasible& feasible, Proposer& random,
                              const Ledger& ledger) {
  std::vector<Mask> masks;
  for (const Mask& seed : seeds) {
    if (static_cast<int>(seed.size()) != feasible.size())
      throw InputError("mask search: a seed has " + std::to_string(seed.size()) + " entries for " +
                       std::to_string(feasible.size()) + " variables; give masks of the same problem");
    if (feasible.obeys(seed)) masks.push_back(seed);
  }
  for (int attempt = 0; masks.empty() && attempt < 100; ++attempt) masks = random.propose(1, ledger);
  if (masks.empty())
    throw InputError(
        "mask search: found no mask that obeys the constraint; give a seed that does, or relax it");
  return masks;
}

}  // namespace

std::vector<std::string> search_names() {
  return {"tt", "local", "tt+local", "protes", "random"};
}

SearchOptions protes_options() {
  SearchOptions options;
  options.method = "protes";
  options.batch = 100;
  options.top = 10;
  options.steps = 1;
  options.rank = 5;
  options.learning_rate = 0.05;
  return options;
}

SearchResult search_masks(const MaskObjective& objective, int n, const MaskConstraint& constraint,
                          std::span<const Mask> seeds, const SearchOptions& options, const Control& control) {
  check_options(options, n);
  const Feasible feasible(n, constraint, options.fixed);
  Ledger ledger(objective, n, options, control);
  Rng rng(options.seed);
  const auto random = make_random_proposer(feasible, rng);
  Turns turns(feasible, options, rng);

  std::vector<Mask> masks = first_masks(seeds, feasible, *random, ledger);
  turns.learn(ledger.evaluate(masks), ledger);
  int idle = 0;  // batches in a row without a new mask
  while (!ledger.finished()) {
    Proposer& proposer = idle < 20 ? turns.next() : *random;
    masks = proposer.propose(options.batch, ledger);
    const std::vector<Evaluated> batch = ledger.evaluate(masks);
    idle = batch.empty() ? idle + 1 : 0;
    if (idle >= 60) return ledger.finish("nothing new to try");
    if (!batch.empty()) turns.learn(batch, ledger);
  }
  return ledger.finish("");
}

std::unique_ptr<Proposer> make_random_proposer(const Feasible& feasible, Rng& rng) {
  return std::make_unique<RandomProposer>(feasible, rng);
}

}  // namespace quboprune
