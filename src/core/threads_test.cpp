#include "core/threads.h"

#include <gtest/gtest.h>

#include <string>

namespace quboprune {
namespace {

TEST(ThreadCount, IsWhatIsAskedForOrWhatTheEnvironmentSays) {
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before != nullptr ? before : "";
  unsetenv("OMP_NUM_THREADS");
  const int cores = thread_count(0);
  EXPECT_GE(cores, 1);
  for (const char* nonsense : {"", "0", "-2", "many"}) {
    setenv("OMP_NUM_THREADS", nonsense, 1);
    EXPECT_EQ(thread_count(0), cores) << nonsense;
  }
  setenv("OMP_NUM_THREADS", "3,2", 1);
  EXPECT_EQ(thread_count(0), 3);
  EXPECT_EQ(thread_count(2), 2);
  if (before != nullptr)
    setenv("OMP_NUM_THREADS", kept.c_str(), 1);
  else
    unsetenv("OMP_NUM_THREADS");
}

}  // namespace
}  // namespace quboprune
