#include "quboprune/kept_values.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>

#include "quboprune/file.h"

namespace quboprune {
namespace {

using Values = KeptValues::Values;

struct KeptInAFile : ::testing::Test {
  std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "kept_values.cbor";
  Mask mask{1, 0, 1};

  KeptInAFile() { std::filesystem::remove(file); }
};

TEST_F(KeptInAFile, EveryNumberComesBackAsItWas) {
  const Values values{0.1, -1e300, std::numeric_limits<double>::infinity(), 3,
                      std::numeric_limits<double>::denorm_min()};
  KeptValues(file, "problem").keep("question", mask, values);
  const KeptValues again(file, "problem");
  ASSERT_NE(again.find("question", mask), nullptr);
  EXPECT_EQ(*again.find("question", mask), values);
  EXPECT_EQ(again.find("another", mask), nullptr);
  EXPECT_EQ(again.find("question", {1, 1, 1}), nullptr);
}

TEST_F(KeptInAFile, TwoRunsOnOneFileKeepEachOthersAnswers) {
  KeptValues one(file, "problem");
  KeptValues other(file, "problem");
  one.keep("question", mask, {1});
  other.keep("another", mask, {2});
  one.keep("question", {1, 1, 0}, {3});
  const KeptValues again(file, "problem");
  EXPECT_NE(again.find("question", mask), nullptr);
  EXPECT_NE(again.find("another", mask), nullptr);
  EXPECT_NE(again.find("question", {1, 1, 0}), nullptr);
}

TEST_F(KeptInAFile, TwoRunsFillInOneAnswer) {
  KeptValues one(file, "problem");
  KeptValues other(file, "problem");
  one.keep("question", mask, {1, std::nan(""), 3});
  other.keep("question", mask, {std::nan(""), 2, 4});
  EXPECT_EQ(*KeptValues(file, "problem").find("question", mask), (Values{1, 2, 4}));
}

TEST_F(KeptInAFile, WhatCannotBeReadAnyMoreIsSaidAndNothingIsLost) {
  KeptValues kept(file, "problem");
  kept.keep("question", mask, {1});
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  kept.keep("another", mask, {2});
  EXPECT_FALSE(kept.unsaved().empty());
  EXPECT_NE(kept.find("another", mask), nullptr);
}

TEST_F(KeptInAFile, NotANumberStaysNone) {
  KeptValues(file, "problem").keep("question", mask, {std::nan("")});
  EXPECT_TRUE(std::isnan(KeptValues(file, "problem").find("question", mask)->front()));
}

TEST_F(KeptInAFile, AnotherProblemOrADamagedFileIsNotTakenUp) {
  KeptValues(file, "problem").keep("question", mask, {1});
  EXPECT_EQ(KeptValues(file, "another").find("question", mask), nullptr);
  std::string bytes = read_file(file);
  bytes[bytes.size() - 1] ^= 1;
  write_file_atomically(file, bytes);
  EXPECT_EQ(KeptValues(file, "problem").find("question", mask), nullptr);
  write_file_atomically(file, "");
  EXPECT_EQ(KeptValues(file, "problem").find("question", mask), nullptr);
}

TEST_F(KeptInAFile, WhatCannotBeWrittenIsSaidAndStillKnown) {
  KeptValues kept(file.parent_path() / "no_such_folder" / "kept.cbor", "problem");
  kept.keep("question", mask, {1});
  EXPECT_FALSE(kept.unsaved().empty());
  EXPECT_NE(kept.find("question", mask), nullptr);
}

TEST(KeptValues, MeasureOnceAndNotWhatWasStopped) {
  KeptValues kept;
  std::atomic<bool> stop = true;
  const Control control{{}, &stop};
  int measured = 0;
  const auto ask = [&] {
    return kept.get("question", {1, 0}, control, [&] { return Values{++measured * 1.0}; });
  };
  EXPECT_EQ(ask(), Values{1}) << "what was stopped serves, but isn't kept";
  stop = false;
  EXPECT_EQ(ask(), Values{2});
  EXPECT_EQ(ask(), Values{2});
}

}  // namespace
}  // namespace quboprune
