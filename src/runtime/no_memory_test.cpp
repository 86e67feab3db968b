#include <ATen/Functions.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "quboprune/memory.h"

namespace quboprune {
namespace {

TEST(NoMemory, IsKnownFromLibTorchsOwnComplaint) {
  try {
    at::empty({std::int64_t{1} << 60});
    FAIL() << "an exbibyte was there";
  } catch (const c10::Error& e) {
    EXPECT_TRUE(says_no_memory(e.what_without_backtrace())) << e.what_without_backtrace();
  }
}

}  // namespace
}  // namespace quboprune
