#pragma once

#include <string>
#include <vector>

#include "quboprune/executor.h"
#include "quboprune/graph.h"

namespace quboprune {

/// A cut network, ready to run, with a key for each value: two networks whose values have the same key
/// compute the same there, from the same inputs.
struct KeyedNetwork {
  Executor executor;
  std::vector<std::string> keys;  ///< by value; empty where no node and no constant gives it
};

/// Gives cut versions of one network their keys.
///
/// A constant's key is a digest of what it holds (those that the cut left alone: their number), a computed
/// value's is one of its node, the node's attributes and the keys that it reads. So nothing needs to be known
/// of what an operator's slicing or a refit made depend on which groups: what came out is compared.
class NetworkKeys {
 public:
  explicit NetworkKeys(const Graph& original) : original_(original) {}

  KeyedNetwork of(const Graph& cut) const;

 private:
  std::string constant_key(const Graph& cut, std::size_t value) const;

  Graph original_;  // shares the tensors
};

}  // namespace quboprune
