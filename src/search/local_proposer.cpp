#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "search/proposer.h"
#include "search/surrogate.h"

namespace quboprune {
namespace {

constexpr int kPoints = 500;  ///< masks in a fit: its Cholesky costs 500³/3 operations, about 20 ms
constexpr std::size_t kShortlist = 12;  ///< best candidates of either side that a swap is chosen from

/// Descends a quadratic model from the centre, by flips or swaps, within the constraint.
class ModelDescent {
 public:
  ModelDescent(const Feasible& feasible, const Mask& centre, std::vector<double> linear,
               const std::vector<double>& couplings)
      : feasible_(feasible),
        x_(centre),
        fields_(std::move(linear)),
        couplings_(couplings),
        cost_(feasible.cost(centre)) {}

  /// Takes the move that the model likes best; false where it expects nothing of any.
  bool step() {
    shortlist();
    best_ = 0;
    first_ = second_ = -1;
    const bool singles = feasible_.kind() != MaskConstraint::Kind::exactly;
    if (singles)
      for (const auto* side : {&ones_, &zeros_})
        for (const int i : *side) consider(i, -1, change(i));
    if (feasible_.kind() != MaskConstraint::Kind::none)
      for (const int i : ones_)
        for (const int j : zeros_) consider(i, j, change(i) + change(j) - 2 * coupling(i, j));
    if (first_ < 0) return false;
    flip(first_);
    if (second_ >= 0) flip(second_);
    return true;
  }
  const Mask& mask() const { return x_; }
  /// What flipping i would change.
  double change(int i) const {
    const auto at = static_cast<std::size_t>(i);
    return (x_[at] ? -fields_[at] : fields_[at]) + coupling(i, i);
  }

 private:
  double coupling(int i, int j) const {
    return couplings_.empty()
               ? 0
               : couplings_[static_cast<std::size_t>(i) * x_.size() + static_cast<std::size_t>(j)];
  }
  void shortlist() {
    ones_.clear();
    zeros_.clear();
    for (int i = 0; i < feasible_.size(); ++i)
      if (feasible_.free(i)) (x_[static_cast<std::size_t>(i)] ? ones_ : zeros_).push_back(i);
    for (auto* side : {&ones_, &zeros_}) {
      const std::size_t keep = std::min(side->size(), kShortlist);
      std::partial_sort(side->begin(), side->begin() + static_cast<std::ptrdiff_t>(keep), side->end(),
                        [&](int a, int b) { return rate(a) < rate(b); });
      side->resize(keep);
    }
  }
  /// What counts under a capacity is the change for each unit of cost.
  double rate(int i) const { return change(i) / feasible_.cost(i); }
  void consider(int i, int j, double value) {
    if (!(value < best_) || !feasible_.within(cost_ + added(i) + (j < 0 ? 0 : added(j)))) return;
    best_ = value;
    first_ = i;
    second_ = j;
  }
  double added(int i) const {
    return x_[static_cast<std::size_t>(i)] ? -feasible_.cost(i) : feasible_.cost(i);
  }
  void flip(int i) {
    const auto at = static_cast<std::size_t>(i);
    cost_ += added(i);
    const double change = x_[at] ? -2 : 2;
    x_[at] ^= 1U;
    if (couplings_.empty()) return;
    const double* row = couplings_.data() + at * x_.size();
    for (std::size_t j = 0; j < x_.size(); ++j) fields_[j] += change * row[j];
  }

  const Feasible& feasible_;
  Mask x_;
  std::vector<double> fields_;
  const std::vector<double>& couplings_;
  std::vector<int> ones_, zeros_;
  double cost_;
  double best_ = 0;
  int first_ = -1, second_ = -1;
};

/// Moves around the best mask, chosen by a model of the objective (see Surrogate) within a trust region.
///
/// Every proposal descends another draw of the model's posterior (Thompson sampling), so that a batch tries
/// what may be good, not only what looks good. The region, in moves, grows while batches improve the best
/// and shrinks while they don't.
class LocalProposer : public Proposer {
 public:
  LocalProposer(const Feasible& feasible, const SearchOptions& options, Rng& rng)
      : feasible_(feasible), rng_(rng), model_(feasible.size(), options.prior, options.blocks, kPoints) {}

  std::vector<Mask> propose(int count, const Ledger& ledger) override {
    const Evaluated& best = ledger.elite().front();
    model_.fit(best.mask, best.value);
    std::vector<Mask> masks;
    for (int k = 0; k < count; ++k) {
      Mask x = descend(best.mask);
      for (int attempt = 0;
           attempt < 4 && (ledger.seen(x) || std::find(masks.begin(), masks.end(), x) != masks.end());
           ++attempt)
        shake(x);
      masks.push_back(std::move(x));
    }
    return masks;
  }

  void learn(std::span<const Evaluated> batch, const Ledger& ledger) override {
    for (const Evaluated& item : batch) model_.add(item.mask, item.value);
    const double value = ledger.elite().front().value;
    if (!batch.empty() && asked_) {
      radius_ = std::clamp(value < best_ ? radius_ * 1.3 : radius_ * 0.8, 1.0, 0.25 * feasible_.size() + 1);
      asked_ = false;
    }
    best_ = value;
  }

 private:
  Mask descend(const Mask& centre) {
    asked_ = true;
    ModelDescent descent(feasible_, centre, model_.draw(rng_.uniform(), rng_), model_.couplings());
    const double moves = std::ceil(radius_ * rng_.uniform());
    for (int move = 0; move < moves && descent.step(); ++move) {
    }
    Mask x = descent.mask();
    std::vector<double> worth(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      worth[i] = (x[i] ? 1 : -1) * descent.change(static_cast<int>(i));
    if (!feasible_.make(x, worth, rng_)) x = centre;
    return x;
  }
  /// A random flip, put right at random: a swap under "exactly".
  void shake(Mask& x) {
    Mask moved = x;
    const auto i = static_cast<std::size_t>(rng_.below(static_cast<std::uint32_t>(x.size())));
    if (!feasible_.free(static_cast<int>(i))) return;
    moved[i] ^= 1U;
    if (feasible_.make(moved, {}, rng_)) x = std::move(moved);
  }

  const Feasible& feasible_;
  Rng& rng_;
  Surrogate model_;
  double radius_ = 8;
  double best_ = 0;
  bool asked_ = false;
};

}  // namespace

std::unique_ptr<Proposer> make_local_proposer(const Feasible& feasible, const SearchOptions& options,
                                              Rng& rng) {
  return std::make_unique<LocalProposer>(feasible, options, rng);
}

}  // namespace quboprune
