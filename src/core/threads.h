#pragma once

#include <algorithm>
#include <thread>

namespace quboprune {

/// How many threads to use where so many are asked for; below 1: one for each core.
inline int thread_count(int asked) {
  return asked >= 1 ? asked : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace quboprune
