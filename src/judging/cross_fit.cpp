#include "judging/cross_fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "core/phases.h"
#include "judging/shipped_judge.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::size_t kParts = 4;

/// Samples that are judged together, by networks that were repaired on others.
struct Fold {
  std::string question;  ///< by which its values are kept
  std::vector<std::size_t> judged;
  std::vector<Sample> fitted;
};

/// Whole scenes, which come in turn; single samples where all are of one scene.
std::vector<Fold> folds_of(std::span<const Sample> samples) {
  std::map<std::string, std::size_t> scenes;
  for (const auto& s : samples) scenes.try_emplace(s.scene, scenes.size());
  std::vector<Fold> folds(std::min(kParts, scenes.size() > 1 ? scenes.size() : samples.size()));
  for (std::size_t part = 0; part < folds.size(); ++part) {
    folds[part].question = fmt::format("part {}, as it would ship", part);
    for (std::size_t k = 0; k < samples.size(); ++k) {
      const std::size_t its = (scenes.size() > 1 ? scenes.at(samples[k].scene) : k) % folds.size();
      if (its == part) {
        folds[part].judged.push_back(k);
      } else {
        folds[part].fitted.push_back(samples[k]);
      }
    }
  }
  std::erase_if(folds, [](const Fold& fold) { return fold.fitted.empty(); });
  return folds;
}

/// All samples, where no repair sees any.
Fold without_repair(std::size_t samples) {
  Fold all{"all, as cut", std::vector<std::size_t>(samples), {}};
  std::iota(all.judged.begin(), all.judged.end(), std::size_t{0});
  return all;
}

/// Without the samples that weren't judged.
std::vector<double> those_done(const std::vector<double>& values, const std::vector<bool>& done) {
  std::vector<double> result;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (done[k]) result.push_back(values[k]);
  }
  return result;
}

}  // namespace

std::vector<std::vector<double>> shipped_values(const ChannelGroups& groups, std::span<const Mask> masks,
                                                std::span<const Sample> samples, const Judge& judge,
                                                const RefitOptions* refit, KeptValues& kept,
                                                const Control& control) {
  const auto folds = refit != nullptr ? folds_of(samples) : std::vector{without_repair(samples.size())};
  std::vector<std::vector<double>> values(masks.size(), std::vector<double>(samples.size()));
  std::vector<bool> done(samples.size(), false);
  Phases phases(control);
  std::size_t begun = 0;
  try {
    for (const Fold& fold : folds) {
      std::optional<ShippedJudge> judged;  // the original's pass, which only a new mask needs
      std::vector<std::vector<double>> found;
      for (const Mask& mask : masks) {
        if (refit != nullptr)
          phases.enter(fmt::format("as it would ship, {} of {}", ++begun, masks.size() * folds.size()));
        found.push_back(kept.get(fold.question, mask, control, [&] {
          if (!judged) {
            std::vector<Sample> these;
            for (std::size_t k : fold.judged) these.push_back(samples[k]);
            judged.emplace(groups, fold.fitted, std::move(these), judge, refit, phases.control());
          }
          return (*judged)(mask);
        }));
        check(found.back().size() == fold.judged.size(),
              "values of a mask that were kept are of other samples");
      }
      for (std::size_t i = 0; i < fold.judged.size(); ++i) {
        done[fold.judged[i]] = true;
        for (std::size_t m = 0; m < masks.size(); ++m) values[m][fold.judged[i]] = found[m][i];
      }
    }
  } catch (const Stopped&) {
    // What is done serves.
  }
  for (auto& of_mask : values) of_mask = those_done(of_mask, done);
  return values;
}

}  // namespace quboprune
