#include "cli/base/stages.h"

#include "core/clock.h"
#include "quboprune/file.h"

namespace quboprune {

void Stages::begin(const std::string& name) {
  name_ = label_.empty() ? name : label_ + ": " + name;
  began_ = std::chrono::steady_clock::now();
}

void Stages::end() {
  list_.push_back(
      {{"name", name_}, {"seconds", seconds_since(began_)}, {"peak_rss_bytes", peak_rss_bytes()}});
}

}  // namespace quboprune
