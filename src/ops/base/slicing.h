#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "model/names.h"
#include "ops/base/coupling.h"
#include "quboprune/graph.h"

namespace quboprune {

/// What an operator sees and may change when its node is sliced: which indices of each axis stay, its node's
/// attributes and constant inputs. Values and axes are those of the graph before.
class Slicing {
 public:
  /// kept(value, axis): the indices that stay, ascending; empty where the axis is whole.
  using KeptIndices = std::function<const std::vector<std::int64_t>&(int value, int axis)>;

  Slicing(const Coupling& coupling, Graph& after, KeptIndices kept)
      : coupling_(coupling), after_(after), names_(after), kept_(std::move(kept)) {}

  void begin(int node) {
    node_ = node;
    settled_.clear();
  }
  /// What the analysis found, on the graph before.
  const Coupling& coupling() const { return coupling_; }
  int rank(int value) const { return coupling_.rank(value); }

  /// Anything removed from the axis?
  bool cut(int value, int axis) const { return !kept_(value, axis).empty(); }
  /// Indices that stay; all of them where nothing is removed.
  std::vector<std::int64_t> kept(int value, int axis) const;
  std::int64_t size_before(int value, int axis) const;
  std::int64_t size_after(int value, int axis) const;

  /// Was the value computed from the size of an axis that is cut?
  bool resized(int value) const;
  /// The operator has seen to the node's k-th input: it isn't to be put back to what it was.
  void settle(std::size_t k) { settled_.insert(k); }
  bool settled(std::size_t k) const { return settled_.contains(k); }

  void set_attribute(const std::string& name, Attribute attribute);
  /// The node reads this tensor from now on; other readers of what it read before aren't touched.
  void replace_input(std::size_t k, at::Tensor tensor);
  /// The same for another node, of which this one reads.
  void replace_input_of(int node, std::size_t k, at::Tensor tensor);
  /// The same for an input that the node omits.
  void append_input(std::size_t k, const std::string& name, at::Tensor tensor);
  void remove_attribute(const std::string& name);

 private:
  const Coupling& coupling_;
  Graph& after_;
  Names names_;  // of after_
  KeptIndices kept_;
  int node_ = -1;
  std::set<std::size_t> settled_;  // inputs of the present node
};

}  // namespace quboprune
