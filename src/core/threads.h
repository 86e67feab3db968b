#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace quboprune {

/// How many threads to use where so many are asked for; below 1: as many as OMP_NUM_THREADS says, or else one
/// for each core.
inline int thread_count(int asked) {
  if (asked >= 1) return asked;
  if (const char* wanted = std::getenv("OMP_NUM_THREADS")) {
    const std::string_view text(wanted);
    int count = 0;  // of a list, by level of nesting, the first
    if (std::from_chars(text.data(), text.data() + text.size(), count).ec == std::errc{} && count >= 1)
      return std::min(count, 1024);
  }
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace quboprune
