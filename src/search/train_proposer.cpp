#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/clones.h"
#include "quboprune/random.h"
#include "quboprune/tensor_train.h"
#include "search/proposer.h"

namespace quboprune {
namespace {

/// Automaton size for costs: rounding to 1/256 of the capacity leaves little for the repair to do.
constexpr int kBins = 256;

/// Evaluations between two fits: a fit costs some 10 ms at n = 512, a batch may be of a few masks only.
constexpr int kGeneration = 40;

/// The train draws from a stream of its own: until its first turn tt+local is local, mask by mask.
constexpr std::uint64_t kOwnStream = 0x7261696e7473ULL;

/// Adam's moves, in place of the gradient they follow. `scale`: what the second moment is to be multiplied
/// by.
QUBOPRUNE_CLONES void moves(std::vector<double>& gradient, double rate, double scale,
                            std::vector<double>& first, std::vector<double>& second) {
  for (std::size_t p = 0; p < gradient.size(); ++p) {
    const double g = gradient[p];
    first[p] = 0.9 * first[p] + 0.1 * g;
    second[p] = 0.999 * second[p] + 0.001 * g * g;
    gradient[p] = first[p] * rate / (std::sqrt(second[p] * scale) + 1e-8);
  }
}

/// Samples of a tensor train that is fitted, by Adam on the log-likelihood, to the best masks.
///
/// Ours: the train holds the constraint, starts around the best seed, moves in the logarithms of its cores,
/// and is fitted to the best masks of the whole search. As published ("protes"): no constraint, cores
/// uniform in (0, 1) and moved themselves, fitted to the best of the last batch alone. PROTES lets cores
/// turn negative and takes absolute values when sampling; we keep them positive instead.
class TrainProposer : public SampleProposer {
 public:
  TrainProposer(const Feasible& feasible, const SearchOptions& options)
      : feasible_(feasible),
        options_(options),
        rng_(options.seed ^ kOwnStream),
        published_(options.method == "protes"),
        train_(published_ ? CountRule{std::vector<int>(static_cast<std::size_t>(feasible.size()), 0), 0, 0,
                                      options.fixed}
                          : feasible.rule(kBins),
               options.rank),
        first_(train_.parameters().size(), 0.0),
        second_(first_),
        gradient_(first_) {}

  std::vector<Mask> propose(int count, const Ledger& ledger) override {
    if (published_) return draw(count, count, ledger);
    if (fresh_ >= kGeneration) {
      fit(apart_ ? own_ : ledger.elite());
      fresh_ = 0;
    }
    std::vector<Mask> masks = draw(count, 4 * count, ledger);
    // A train that has come down to a few masks, all known, starts anew: around the best, or from nothing.
    if (2 * static_cast<int>(masks.size()) < count) {
      own_.clear();
      start(ledger.elite().front().mask);
    }
    return masks;
  }

  void learn(std::span<const Evaluated> batch, Origin, const Ledger& ledger) override {
    if (!started_) return start(ledger.elite().front().mask);
    fresh_ += static_cast<int>(batch.size());
    if (!published_ && !apart_) return;
    std::vector<Evaluated> best = apart_ ? own_ : std::vector<Evaluated>{};
    best.insert(best.end(), batch.begin(), batch.end());
    const auto top = std::min(best.size(), static_cast<std::size_t>(options_.top));
    std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(top), best.end(),
                      [](const Evaluated& a, const Evaluated& b) { return a.value < b.value; });
    best.resize(top);
    if (apart_)
      own_ = std::move(best);
    else
      fit(best);
  }

  void start_anew() override {
    apart_ = true;
    own_.clear();
    fresh_ = 0;
    started_ = false;
  }

 private:
  /// Up to `count` feasible masks out of `attempts` samples; as published, known ones among them.
  std::vector<Mask> draw(int count, int attempts, const Ledger& ledger) {
    std::vector<Mask> masks;
    for (; attempts > 0 && static_cast<int>(masks.size()) < count; --attempts) {
      if (drawn_.empty()) drawn_ = train_.sample(TensorTrain::kTogether, rng_);
      Mask x = std::move(drawn_.back());
      drawn_.pop_back();
      if (feasible_.make(x, {}, rng_) && (published_ || !ledger.seen(x))) masks.push_back(std::move(x));
    }
    return masks;
  }

  void start(const Mask& seed) {
    started_ = true;
    steps_ = 0;
    std::fill(first_.begin(), first_.end(), 0.0);
    std::fill(second_.begin(), second_.end(), 0.0);
    const std::size_t block =
        static_cast<std::size_t>(options_.rank) * static_cast<std::size_t>(options_.rank);
    auto theta = train_.parameters();
    for (std::size_t p = 0; p < theta.size(); ++p) {
      const std::size_t i = p / (2 * block), bit = p / block % 2;
      if (published_)
        theta[p] = std::log(std::max(rng_.uniform(), 1e-6));
      else  // noise breaks the symmetry between the rank's indices, or they would stay one
        theta[p] = (seed[i] == bit ? 0.5 : -0.5) * options_.start_weight + 0.2 * (rng_.uniform() - 0.5);
    }
    prepare();
  }

  void fit(const std::vector<Evaluated>& best) {
    std::vector<Mask> masks;
    for (const Evaluated& item : best)
      if (train_.obeys(item.mask)) masks.push_back(item.mask);
    if (masks.empty()) return;
    for (int step = 0; step < options_.steps; ++step) climb(masks);
  }

  /// One step of Adam (Kingma and Ba 2015, usual constants).
  void climb(const std::vector<Mask>& masks) {
    train_.gradient(masks, gradient_);
    auto theta = train_.parameters();
    if (published_)  // by the cores
      for (std::size_t p = 0; p < theta.size(); ++p) gradient_[p] /= std::exp(theta[p]);
    ++steps_;
    const double rate = options_.learning_rate / (1 - std::pow(0.9, steps_));
    const double scale = 1 / (1 - std::pow(0.999, steps_));
    moves(gradient_, rate, scale, first_, second_);
    // Bounded: no bit is ever ruled out for good.
    for (std::size_t p = 0; p < theta.size(); ++p)
      theta[p] = published_ ? std::log(std::max(std::exp(theta[p]) + gradient_[p], 1e-6))
                            : std::clamp(theta[p] + gradient_[p], -8.0, 8.0);
    prepare();
  }

  void prepare() {
    train_.prepare();
    drawn_.clear();
  }

  const Feasible& feasible_;
  const SearchOptions& options_;
  Rng rng_;
  bool published_;
  TensorTrain train_;
  std::vector<double> first_, second_, gradient_;  ///< Adam's moments, and room
  bool started_ = false;
  bool apart_ = false;          ///< fitted to `own_`, not to the best of the whole search
  std::vector<Evaluated> own_;  ///< the best of what it was told of since it started anew
  std::vector<Mask> drawn_;     ///< samples of the train as it is that weren't asked for yet
  int steps_ = 0;
  int fresh_ = 0;  ///< evaluations since the last fit
};

}  // namespace

std::unique_ptr<SampleProposer> make_train_proposer(const Feasible& feasible, const SearchOptions& options) {
  return std::make_unique<TrainProposer>(feasible, options);
}

}  // namespace quboprune
