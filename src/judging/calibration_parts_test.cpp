#include "judging/calibration_parts.h"

#include <gtest/gtest.h>

#include <set>

namespace quboprune {
namespace {

std::vector<Sample> samples(const std::vector<std::string>& scenes) {
  std::vector<Sample> result;
  for (std::size_t k = 0; k < scenes.size(); ++k) result.push_back({{}, {}, std::to_string(k), scenes[k]});
  return result;
}

std::set<std::string> scenes_of(const std::vector<Sample>& list) {
  std::set<std::string> result;
  for (const auto& s : list) result.insert(s.scene);
  return result;
}

TEST(CalibrationParts, ShareNoSceneAndLoseNoSample) {
  const auto parts = calibration_parts(samples({"a", "b", "c", "d", "a", "b", "c", "d"}), true);
  EXPECT_EQ(parts.fit.size() + parts.search.size() + parts.check.size(), 8U);
  EXPECT_EQ(scenes_of(parts.fit), (std::set<std::string>{"a", "d"}));
  EXPECT_EQ(scenes_of(parts.search), (std::set<std::string>{"b"}));
  EXPECT_EQ(scenes_of(parts.check), (std::set<std::string>{"c"}));
}

TEST(CalibrationParts, AreOfSamplesWhereThereIsOneScene) {
  const auto parts = calibration_parts(samples(std::vector<std::string>(8, "a")), true);
  EXPECT_EQ(parts.fit.size(), 3U);
  EXPECT_EQ(parts.search.size(), 3U);
  EXPECT_EQ(parts.check.size(), 2U);
}

TEST(CalibrationParts, WithoutARepairAllButTheCheckAreSearchedOn) {
  const auto parts = calibration_parts(samples({"a", "b", "c", "d", "e", "f"}), false);
  EXPECT_EQ(scenes_of(parts.search), (std::set<std::string>{"a", "b", "d", "e", "f"}));
  EXPECT_EQ(scenes_of(parts.check), (std::set<std::string>{"c"}));
}

TEST(CalibrationParts, OfAFewSamplesServeForAll) {
  const auto parts = calibration_parts(samples({"a", "b", "c"}), true);
  EXPECT_EQ(parts.fit.size(), 3U);
  EXPECT_EQ(parts.search.size(), 3U);
  EXPECT_TRUE(parts.check.empty());
}

TEST(Thinned, AreSpreadEvenly) {
  const auto some = thinned(samples({"a", "b", "c", "d", "e", "f"}), 3);
  ASSERT_EQ(some.size(), 3U);
  EXPECT_EQ(some[0].name, "0");
  EXPECT_EQ(some[1].name, "2");
  EXPECT_EQ(some[2].name, "4");
  EXPECT_EQ(thinned(some, 0).size(), 3U);
}

}  // namespace
}  // namespace quboprune
