#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "quboprune/graph.h"

namespace quboprune {

/// Names in use, and free ones made from a wanted one: "w", "w_2", "w_3", ...
class Names {
 public:
  explicit Names(std::string separator = "_") : separator_(std::move(separator)) {}
  /// Those of all values.
  explicit Names(const Graph& graph) : Names() {
    for (const Value& value : graph.values) take(value.name);
  }

  void take(const std::string& name) { taken_.insert(name); }
  /// The wanted name if it is free, else the next that is; it is taken then.
  std::string unique(const std::string& wanted) {
    if (taken_.insert(wanted).second) return wanted;
    for (int& next = next_.try_emplace(wanted, 2).first->second;;) {
      std::string name = wanted + separator_ + std::to_string(next++);
      if (taken_.insert(name).second) return name;
    }
  }

 private:
  std::string separator_;
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int> next_;  ///< by wanted name, so that many copies aren't counted anew
};

}  // namespace quboprune
