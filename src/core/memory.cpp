#include "quboprune/memory.h"

#include <limits>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace quboprune {

void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int never = std::numeric_limits<int>::max();
  mallopt(M_MMAP_THRESHOLD, never);
  mallopt(M_TRIM_THRESHOLD, never);
#endif
}

bool says_no_memory(std::string_view message) {
  return message.find("DefaultCPUAllocator") != std::string_view::npos;
}

}  // namespace quboprune
