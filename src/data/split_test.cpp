#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/data_test_files.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Splits : public FolderTest {};

std::vector<SplitItem> items_of(const std::vector<std::string>& names) {
  std::vector<SplitItem> result;
  for (const std::string& name : names) result.push_back({name, scene_of(name), 0});
  return result;
}

std::set<std::string> scenes(const std::vector<Piece>& pieces, const std::vector<SplitItem>& items) {
  std::set<std::string> result;
  for (const Piece& piece : pieces) result.insert(items[piece.item].scene);
  return result;
}

TEST(SceneOf, DropsTheLastNumberThatStandsApart) {
  EXPECT_EQ(scene_of("Canon80D_8_8_3200_ball_16.JPG"), "Canon80D_8_8_3200_ball");
  EXPECT_EQ(scene_of("NikonD800_6-3_125_5000_plant__4.JPG"), "NikonD800_6-3_125_5000_plant");
  EXPECT_EQ(scene_of("sample_08.png"), "sample");
  EXPECT_EQ(scene_of("0001_s003.png"), "0001");
  EXPECT_EQ(scene_of("s1_crop2.png"), "s1");
  EXPECT_EQ(scene_of("my_kodim07.png"), "my_kodim07");
  EXPECT_EQ(scene_of("kodim07.png"), "kodim07");  // a series of photographs, not one scene
  EXPECT_EQ(scene_of("13.png"), "13");
  EXPECT_EQ(scene_of("_7.png"), "_7");
  EXPECT_EQ(scene_of("flower.png"), "flower");
}

TEST_F(Splits, KeepScenesTogetherAndDependOnNamesOnly) {
  std::vector<std::string> names;
  for (const char* scene : {"ball", "wall", "desk", "toy", "stair", "map"})
    for (int i = 1; i <= 3; ++i) names.push_back(std::string(scene) + "_" + std::to_string(i) + ".png");
  const auto items = items_of(names);
  const Split split = split_scenes(items, "auto", true, "data");
  EXPECT_EQ(scenes(split.calibration, items).size(), 3U);
  EXPECT_EQ(split.calibration.size() + split.heldout.size(), names.size());
  for (const std::string& scene : scenes(split.calibration, items))
    EXPECT_EQ(scenes(split.heldout, items).count(scene), 0U);
  std::reverse(names.begin(), names.end());
  const auto reversed = items_of(names);
  EXPECT_EQ(scenes(split_scenes(reversed, "auto", true, "data").calibration, reversed),
            scenes(split.calibration, items));
}

TEST_F(Splits, FollowAFraction) {
  std::vector<std::string> names;
  for (char c = 'a'; c < 'k'; ++c) names.push_back(std::string(3, c) + ".png");
  EXPECT_EQ(split_scenes(items_of(names), "0.7", true, "data").calibration.size(), 7U);
  EXPECT_EQ(split_scenes(items_of(names), "0.01", true, "data").calibration.size(), 1U);
  EXPECT_EQ(split_scenes(items_of(names), "0.999", true, "data").heldout.size(), 1U);
}

TEST_F(Splits, CutImagesOfOneSceneAndSaySo) {
  const auto items = items_of({"sample_s1.png", "sample_s2.png"});
  const Split split = split_scenes(items, "0.7", true, "data");
  ASSERT_EQ(split.calibration.size(), 2U);
  ASSERT_EQ(split.heldout.size(), 2U);
  EXPECT_LT(split.calibration[0].end, split.heldout[0].begin);
  EXPECT_NEAR(split.calibration[0].end, 0.7, 0.011);
  ASSERT_EQ(split.notes.size(), 1U);
  EXPECT_NE(split.notes[0].find("one scene ('sample'"), std::string::npos);
  EXPECT_THROW(split_scenes(items_of({"one.png"}), "auto", false, "data"), InputError);
}

TEST(NumberedSeries, AreDifferentScenesUnlessTheyAreCropsOrOneOfSeveral) {
  const auto parted = [](const std::vector<std::string>& names) {
    auto items = items_of(names);
    std::vector<std::string> notes;
    part_numbered_series(items, notes);
    std::set<std::string> scenes;
    for (const SplitItem& item : items) scenes.insert(item.scene);
    EXPECT_EQ(notes.empty(), scenes.size() < names.size());
    return scenes.size();
  };
  EXPECT_EQ(parted({"photo_0.png", "photo_1.png", "photo_12.png"}), 3U);
  EXPECT_EQ(parted({"img-001.png", "img-002.jpg"}), 2U);
  EXPECT_EQ(parted({"flower_s001.png", "flower_s002.png"}), 1U);
  EXPECT_EQ(parted({"cat_1.png", "cat_2.png", "dog_1.png"}), 2U);
}

TEST_F(Splits, OfClassesGiveEachSideSomeOfEachClass) {
  std::vector<SplitItem> items;
  for (int i = 0; i < 12; ++i) items.push_back({std::to_string(i), std::to_string(i), i / 4});
  std::vector<int> counts(3);
  for (const Piece& piece : split_scenes(items, "auto", false, "data").heldout)
    ++counts[static_cast<std::size_t>(items[piece.item].group)];
  EXPECT_EQ(counts, (std::vector<int>{2, 2, 2}));
  // Classes of one each are split as one.
  const std::vector<SplitItem> singles{{"a", "a", 0}, {"b", "b", 1}};
  EXPECT_EQ(split_scenes(singles, "auto", false, "data").heldout.size(), 1U);
}

TEST_F(Splits, ByAListTakeScenesFilesAndStems) {
  const auto items = items_of({"ball_1.png", "ball_2.png", "wall_1.png", "desk_1.png", "desk_2.png"});
  write_text("held.txt", "# held out\nball\r\n  wall_1.png # a file\ndesk_2\n\n");
  const Split split = split_scenes(items, path("held.txt"), true, "data");
  std::set<std::string> heldout;
  for (const Piece& piece : split.heldout) heldout.insert(items[piece.item].name);
  EXPECT_EQ(heldout, (std::set<std::string>{"ball_1.png", "ball_2.png", "wall_1.png", "desk_2.png"}));
  ASSERT_EQ(split.notes.size(), 1U);  // desk_1 and desk_2 look like one scene
  EXPECT_NE(split.notes[0].find("'desk'"), std::string::npos);
  write_text("held.txt", "ball\nbal\n");
  try {
    split_scenes(items, path("held.txt"), true, "data");
    FAIL() << "an unknown name was taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("held.txt, line 2: no scene or sample is called 'bal'"),
              std::string::npos);
  }
  write_text("held.txt", "# nothing\n");
  EXPECT_THROW(split_scenes(items, path("held.txt"), true, "data"), InputError);
}

TEST_F(Splits, AllIsMarkedAndNonsenseRefused) {
  const auto items = items_of({"a.png", "b.png"});
  const Split split = split_scenes(items, "all", true, "data");
  EXPECT_EQ(split.calibration.size(), 2U);
  EXPECT_EQ(split.heldout.size(), 2U);
  EXPECT_EQ(split.notes.size(), 1U);
  for (const char* wrong : {"0", "1", "-0.2", "1.5", "abc", "", "nan"})
    EXPECT_THROW(split_scenes(items, wrong, true, "data"), InputError) << wrong;
}

TEST(SpreadOverScenes, VisitsEachSceneBeforeAnyTwice) {
  const auto items = items_of({"a_1", "a_2", "a_3", "b_1", "c_1"});
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < items.size(); ++i) pieces.push_back({i});
  const auto ordered = spread_over_scenes(pieces, items);
  ASSERT_EQ(ordered.size(), 5U);
  EXPECT_EQ(scenes({ordered.begin(), ordered.begin() + 3}, items).size(), 3U);
}

TEST(SpreadOverScenes, LetsClassesTakeTurns) {
  std::vector<SplitItem> items;
  std::vector<Piece> pieces;
  for (int i = 0; i < 60; ++i) {
    items.push_back({std::to_string(i), std::to_string(i), i % 7 == 0 ? 0 : 1 + i % 5});
    pieces.push_back({static_cast<std::size_t>(i)});
  }
  const auto ordered = spread_over_scenes(pieces, items);
  ASSERT_EQ(ordered.size(), 60U);
  std::map<int, int> counts;
  for (std::size_t k = 0; k < 24; ++k) ++counts[items[ordered[k].item].group];
  for (int group = 0; group < 6; ++group) EXPECT_EQ(counts[group], 4);  // the smallest has 9
}

}  // namespace
}  // namespace quboprune
