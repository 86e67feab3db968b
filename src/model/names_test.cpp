#include "model/names.h"

#include <gtest/gtest.h>

namespace quboprune {
namespace {

TEST(Names, AreFreeOnesMadeFromTheWanted) {
  Names names;
  names.take("w");
  names.take("w_3");
  EXPECT_EQ(names.unique("v"), "v");
  EXPECT_EQ(names.unique("w"), "w_2");
  EXPECT_EQ(names.unique("w"), "w_4");
  EXPECT_EQ(names.unique("w_2"), "w_2_2");
  EXPECT_EQ(Names("#").unique("v"), "v");
}

}  // namespace
}  // namespace quboprune
