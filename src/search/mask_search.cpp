#include "quboprune/mask_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "quboprune/error.h"
#include "search/proposer.h"

namespace quboprune {
namespace {

/// Batches without a new mask after which masks are drawn at random; after three times as many, it's over.
constexpr int kIdle = 20;

/// Feasible masks, half of their bits set before they are made so.
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
  void learn(std::span<const Evaluated>, Origin, const Ledger&) override {}

 private:
  const Feasible& feasible_;
  Rng& rng_;
};

void check_options(const SearchOptions& options, int n) {
  const auto names = search_names();
  if (std::find(names.begin(), names.end(), options.method) == names.end())
    throw InputError(
        fmt::format("mask search: no method \"{}\"; take {}", options.method, fmt::join(names, ", ")));
  if (options.evaluations < 1 || options.batch < 1 || options.top < 1 || options.rank < 1 ||
      options.steps < 1)
    throw InputError("mask search: evaluations, batch, top, rank and steps must be 1 or more");
  if (!(options.learning_rate > 0 && std::isfinite(options.learning_rate)))
    throw InputError("mask search: the learning rate must be a positive number");
  if (!std::isfinite(options.start_weight))
    throw InputError("mask search: the start weight must be a finite number");
  if (!(options.time_limit >= 0)) throw InputError("mask search: the time limit must be 0 (none) or seconds");
  if (!options.prior.empty() && static_cast<int>(options.prior.size()) != n)
    throw InputError("mask search: " + std::to_string(options.prior.size()) + " prior values for " +
                     std::to_string(n) + " variables; give one each or none");
  if (!std::all_of(options.prior.begin(), options.prior.end(), [](double p) { return std::isfinite(p); }))
    throw InputError("mask search: a prior value is not finite; give numbers");
  if (!options.blocks.empty() && static_cast<int>(options.blocks.size()) != n)
    throw InputError("mask search: " + std::to_string(options.blocks.size()) + " block labels for " +
                     std::to_string(n) + " variables; give one each or none");
  if (!std::all_of(options.blocks.begin(), options.blocks.end(), [n](int b) { return b >= 0 && b < n; }))
    throw InputError("mask search: a block label is not between 0 and the number of variables less one");
}

/// In tt+local a turn is the train's when six batches in a row didn't improve the best, and every second one
/// from there on until one does: the train looks further, where the model's moves agree with one another too
/// soon. (One turn in four from the start on was worse at 200 evaluations.) Of ten times as many samples the
/// model keeps the most promising.
constexpr int kFailures = 6, kAgain = 2, kSamplesEach = 10;
/// After so many batches without a better mask the model has been wrong for long: 15 turns in 16 are the
/// train's own, and the model isn't asked. (Three in four and seven in eight found equally good masks in
/// 10,000 evaluations, and took a fifth and a tenth more time.)
constexpr int kStuck = 40, kModelAgain = 16;

/// The proposers of a method, taking turns.
class Turns {
 public:
  Turns(const Feasible& feasible, const SearchOptions& options, Rng& rng) : random_(feasible, rng) {
    if (options.method == "local" || options.method == "tt+local")
      local_ = make_local_proposer(feasible, options, rng);
    if (options.method == "tt" || options.method == "tt+local" || options.method == "protes")
      train_ = make_train_proposer(feasible, options);
  }
  std::vector<Mask> propose(int count, const Ledger& ledger) {
    turn_ = next();
    switch (turn_) {
      case Turn::model:
        return local_->propose(count, ledger);
      case Turn::train:
        return train_->propose(count, ledger);
      case Turn::screened:
        failures_ -= kAgain;
        return local_->screen(train_->propose(count * kSamplesEach, ledger), count, ledger);
      case Turn::random:
        break;
    }
    return random(count, ledger);
  }
  std::vector<Mask> random(int count, const Ledger& ledger) {
    turn_ = Turn::random;
    return random_.propose(count, ledger);
  }
  void learn(std::span<const Evaluated> batch, const Ledger& ledger) {
    if (local_) local_->learn(batch, turn_ == Turn::model ? Origin::own : Origin::others, ledger);
    if (train_ && (turn_ == Turn::train || !apart_))
      train_->learn(batch, turn_ == Turn::train ? Origin::own : Origin::others, ledger);
    const double best = ledger.elite().front().value;
    const bool better = best < best_;
    failures_ = local_ && !better ? failures_ + 1 : 0;
    stuck_ = better && !apart_ ? 0 : stuck_ + 1;
    if (train_ && local_ && stuck_ == kStuck) {
      train_->start_anew();
      apart_ = true;
    }
    best_ = best;
  }

 private:
  /// Whose masks are evaluated; screened: the train's, of which the model chooses.
  enum class Turn { model, train, screened, random };

  Turn next() const {
    if (!local_) return train_ ? Turn::train : Turn::random;
    if (train_ && stuck_ >= kStuck && stuck_ % kModelAgain != 0) return Turn::train;
    return train_ && !apart_ && failures_ >= kFailures ? Turn::screened : Turn::model;
  }

  RandomProposer random_;
  std::unique_ptr<LocalProposer> local_;
  std::unique_ptr<SampleProposer> train_;
  int failures_ = 0;    ///< batches in a row that didn't improve the best, less those of the train
  int stuck_ = 0;       ///< all of them
  bool apart_ = false;  ///< the train is fitted to its own masks alone
  Turn turn_ = Turn::random;
  double best_ = std::numeric_limits<double>::infinity();
};

/// The seeds, made to obey where they don't; where there are none, the prior's own choice or random masks.
std::vector<Mask> first_masks(std::span<const Mask> seeds, const Feasible& feasible,
                              const SearchOptions& options, Turns& turns, const Ledger& ledger, Rng& rng) {
  std::vector<Mask> masks;
  for (Mask seed : seeds) {
    if (static_cast<int>(seed.size()) != feasible.size())
      throw InputError("mask search: a seed has " + std::to_string(seed.size()) + " entries for " +
                       std::to_string(feasible.size()) + " variables; give masks of the same problem");
    for (auto& bit : seed) bit = bit ? 1 : 0;
    if (feasible.make(seed, options.prior, rng)) masks.push_back(std::move(seed));
  }
  if (masks.empty() && !options.prior.empty()) {
    Mask x(static_cast<std::size_t>(feasible.size()));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = options.prior[i] > 0;
    if (feasible.make(x, options.prior, rng)) masks.push_back(std::move(x));
  }
  for (int attempt = 0; masks.empty() && attempt < 20; ++attempt) masks = turns.random(options.batch, ledger);
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
                          std::span<const Mask> seeds, const SearchOptions& asked, const Control& control) {
  check_options(asked, n);
  SearchOptions options = asked;
  options.batch = static_cast<int>(std::min<std::int64_t>(options.batch, options.evaluations));
  if (seeds.empty() && options.prior.empty()) options.start_weight = 0;  // nothing to start around
  const Feasible feasible(n, constraint, options.fixed);
  Ledger ledger(objective, n, options, control);
  Rng rng(options.seed);
  Turns turns(feasible, options, rng);

  // Batch by batch, so that many seeds can be stopped, too.
  const std::vector<Mask> first = first_masks(seeds, feasible, options, turns, ledger, rng);
  const auto batch = static_cast<std::size_t>(options.batch);
  for (std::size_t at = 0; at < first.size() && (at == 0 || !ledger.finished()); at += batch) {
    const std::span<const Mask> part(first.data() + at, std::min(batch, first.size() - at));
    turns.learn(ledger.evaluate(part), ledger);
  }
  int idle = 0;  // batches in a row without a new mask
  while (!ledger.finished()) {
    const std::vector<Evaluated> news = ledger.evaluate(idle < kIdle ? turns.propose(options.batch, ledger)
                                                                     : turns.random(options.batch, ledger));
    idle = news.empty() ? idle + 1 : 0;
    if (idle >= 3 * kIdle) return ledger.finish("nothing new to try");
    if (!news.empty()) turns.learn(news, ledger);
  }
  return ledger.finish("");
}

}  // namespace quboprune
