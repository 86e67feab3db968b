#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "search/proposer.h"
#include "search/surrogate.h"

namespace quboprune {
namespace {

/// Masks in a fit. 200, 300 and 500 found equally good masks (docs/refinement.md), and 500 cost twice the
/// time.
constexpr int kPoints = 200;
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
    best_ = 0;
    first_ = second_ = -1;
    if (feasible_.kind() == MaskConstraint::Kind::none) {
      for (int i = 0; i < feasible_.size(); ++i)
        if (feasible_.free(i)) consider(i, -1, change(i));
    } else {
      shortlist();
      if (feasible_.kind() == MaskConstraint::Kind::at_most)
        for (const auto* side : {&ones_, &zeros_})
          for (const int i : *side) consider(i, -1, change(i));
      for (const int i : ones_)
        for (const int j : zeros_) consider(i, j, change(i) + change(j) - 2 * coupling(i, j));
    }
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
/// Every proposal descends another draw of the model's posterior (Thompson sampling, damped: true draws were
/// worse at every budget tried), so that a batch tries what may be good, not only what looks good. The
/// region, in moves, grows while batches improve the best and shrinks while they don't; a search that has
/// been stuck at its smallest for a while starts again at its first size, with true draws.
class ModelProposer : public LocalProposer {
 public:
  ModelProposer(const Feasible& feasible, const SearchOptions& options, Rng& rng)
      : feasible_(feasible), rng_(rng), model_(feasible.size(), options.prior, options.blocks, kPoints) {}

  std::vector<Mask> propose(int count, const Ledger& ledger) override {
    fit(ledger);
    std::vector<double> boldness;
    for (int k = 0; k < count; ++k) boldness.push_back(boldness_ * rng_.uniform());
    std::vector<Mask> masks;
    for (auto& linear : model_.draw(boldness, rng_)) {
      Mask x = descend(std::move(linear));
      const auto known = [&] {
        return ledger.seen(x) || std::find(masks.begin(), masks.end(), x) != masks.end();
      };
      for (int attempt = 0; attempt < 4 && known(); ++attempt) shake(x);
      if (feasible_.obeys(x)) masks.push_back(std::move(x));
    }
    return masks;
  }

  std::vector<Mask> screen(std::vector<Mask> masks, int count, const Ledger& ledger) override {
    fit(ledger);
    const double mean = 0;
    const std::vector<double> linear = model_.draw({&mean, 1}, rng_).front();
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t k = 0; k < masks.size(); ++k) order.emplace_back(model_.predict(masks[k], linear), k);
    std::sort(order.begin(), order.end());
    std::vector<Mask> chosen;
    for (const auto& [value, k] : order) {
      if (static_cast<int>(chosen.size()) == count) break;
      if (std::find(chosen.begin(), chosen.end(), masks[k]) == chosen.end()) chosen.push_back(masks[k]);
    }
    return chosen;
  }

  void learn(std::span<const Evaluated> batch, Origin origin, const Ledger& ledger) override {
    const bool own = origin == Origin::own;
    for (const Evaluated& item : batch) model_.add(item.mask, item.value, own);
    stale_ = true;
    if (own) adapt(ledger.elite().front().value < centre_.value);
  }

 private:
  void fit(const Ledger& ledger) {
    if (!stale_) return;  // nothing new since: a search near its end has many such turns
    stale_ = false;
    centre_ = ledger.elite().front();
    model_.fit(centre_.mask, centre_.value);
  }

  void adapt(bool improved) {
    radius_ = std::clamp(radius_ * (improved ? 1.3 : 0.8), 1.0, 1 + 0.25 * feasible_.size());
    if (improved) boldness_ = kBoldness;
    stuck_ = improved || radius_ > 1 ? 0 : stuck_ + 1;
    if (stuck_ < kPatience) return;
    stuck_ = 0;
    radius_ = kRadius;
    boldness_ = 1;
  }

  Mask descend(std::vector<double> linear) {
    ModelDescent descent(feasible_, centre_.mask, std::move(linear), model_.couplings());
    const double moves = std::ceil(radius_ * rng_.uniform());
    for (int move = 0; move < moves && descent.step(); ++move) {
    }
    Mask x = descent.mask();
    std::vector<double> worth(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      worth[i] = (x[i] ? 1 : -1) * descent.change(static_cast<int>(i));
    if (!feasible_.make(x, worth, rng_)) x = centre_.mask;
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

  static constexpr double kRadius = 8, kBoldness = 0.5;
  static constexpr int kPatience = 10;

  const Feasible& feasible_;
  Rng& rng_;
  Surrogate model_;
  Evaluated centre_;
  double radius_ = kRadius, boldness_ = kBoldness;
  int stuck_ = 0;
  bool stale_ = true;  ///< there is more to learn from than the last fit knew
};

}  // namespace

std::unique_ptr<LocalProposer> make_local_proposer(const Feasible& feasible, const SearchOptions& options,
                                                   Rng& rng) {
  return std::make_unique<ModelProposer>(feasible, options, rng);
}

}  // namespace quboprune
