#include <algorithm>
#include <cstdint>
#include <vector>

#include "search/proposer.h"

namespace quboprune {
namespace {

/// Swaps around the best mask, drawn at random.
class LocalProposer : public Proposer {
 public:
  LocalProposer(const Feasible& feasible, Rng& rng) : feasible_(feasible), rng_(rng) {}

  std::vector<Mask> propose(int count, const Ledger& ledger) override {
    std::vector<Mask> masks;
    for (int k = 0; k < count; ++k) {
      Mask x = ledger.elite().front().mask;
      for (int flip = 0; flip < 2; ++flip) x[rng_.below(static_cast<std::uint32_t>(x.size()))] ^= 1U;
      if (feasible_.make(x, {}, rng_) && !ledger.seen(x)) masks.push_back(std::move(x));
    }
    return masks;
  }
  void learn(std::span<const Evaluated>, const Ledger&) override {}

 private:
  const Feasible& feasible_;
  Rng& rng_;
};

}  // namespace

std::unique_ptr<Proposer> make_local_proposer(const Feasible& feasible, const SearchOptions&, Rng& rng) {
  return std::make_unique<LocalProposer>(feasible, rng);
}

}  // namespace quboprune
