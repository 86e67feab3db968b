#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// The labels of one axis, one per index; empty for an axis that nothing can be removed from.
/// Indices whose labels are tied stay or go together.
using Labels = std::vector<int>;

/// What a run on a small input showed: shapes, and those values that don't depend on the input.
struct Probe {
  std::vector<std::vector<std::int64_t>> shapes;  ///< of each value; meaningless where !seen
  std::vector<std::vector<std::int64_t>>
      others;                   ///< the same on an input of another size; equal where that can't be had
  std::vector<Constant> known;  ///< values equal in both runs and small, or constants; else undefined
  std::vector<bool> seen;       ///< the value was computed
};

/// One axis of one value.
struct AxisOf {
  int value = -1;
  int axis = 0;
};

/// A place where channels are summed over: what reaches the network's output of a channel passes here. A gate
/// at the input of each such place is what "removing" a channel means, exactly.
struct Contraction {
  int node = -1;          ///< number in Graph::nodes
  int input = 0;          ///< which of its inputs
  int axis = 0;           ///< of that input
  bool averages = false;  ///< it takes the mean over the axis: the gates are its weights
};

/// coefficient x the product of the axes' sizes: multiply-accumulates of a node.
struct MacTerm {
  int node = -1;
  double coefficient = 0;
  std::vector<Labels> axes;
};

/// Which channels belong together, found by letting each operator label its outputs from its inputs.
///
/// A label is a number in a union-find; each index of a weight's axis starts with one of its own. Ties are
/// never undone, and freezing spreads with them: what isn't understood is kept. This is what makes residual
/// sums, concatenations, groups, reshapes and shared weights come out right with no case for any of them.
/// Source: the rule (operators declare, one place closes over it) follows DepGraph (Fang et al., CVPR 2023,
/// 2301.12900) in spirit; labels per index instead of per layer are ours.
class Coupling {
 public:
  /// shrink_norms: averages() lets channels go. second_way: nodes of which takes_second_way() is true.
  Coupling(const Graph& graph, const Probe& probe, bool shrink_norms, std::set<int> second_way);

  const Graph& graph() const { return graph_; }
  /// Nodes that read a value, in order.
  const std::vector<int>& readers(int value) const { return readers_[index(value)]; }
  const std::vector<std::int64_t>& shape(int value) const { return probe_.shapes[index(value)]; }
  /// The shape on an input of another size: dimensions that differ depend on the input.
  const std::vector<std::int64_t>& other_shape(int value) const { return probe_.others[index(value)]; }
  int rank(int value) const { return static_cast<int>(shape(value).size()); }
  bool seen(int value) const { return value >= 0 && probe_.seen[index(value)]; }
  /// A constant, or a value that no input changes; undefined otherwise.
  Constant known(int value) const { return value < 0 ? Constant() : probe_.known[index(value)]; }

  /// A constant, or made of constants.
  bool is_weight(int value) const;

  /// Labels of an axis (negative: from the end). A floating-point constant's axis is labelled when first
  /// asked for. Axes of size 1 never are.
  Labels labels(int value, int axis);
  /// The same without making any.
  Labels peek(int value, int axis) const;
  void set(int value, int axis, Labels labels);

  /// Ties two axes index by index; a label against nothing is frozen. Sizes must agree.
  void tie(const Labels& a, const Labels& b, const std::string& why = "is tied to channels that must stay");
  void tie(int a, int b);
  void freeze(const Labels& labels, const std::string& why);
  void freeze_value(int value, const std::string& why);
  /// Freezes all labelled axes of a node's inputs, those that its subgraphs read too.
  void freeze_inputs(const Node& node, const std::string& why);
  /// n labels that stay: for indices that come from elsewhere.
  Labels frozen_labels(std::size_t n, const std::string& why);
  /// n labels of their own, that may be removed: for indices that an operator adds (padding).
  Labels fresh_labels(std::size_t n);

  /// Says that nothing of the value but its shape matters to the node.
  void reads_shape_only(int value);

  /// For a node that can lose channels in two ways, each with ties of its own: whether to tie by the second.
  bool takes_second_way() const { return second_way_.contains(node_); }
  /// Declares that the node was tied by the first of two ways, by which these labels go or stay.
  void took_first_way(Labels labels) { first_ways_.emplace_back(node_, std::move(labels)); }

  /// Declares that the node sums over this axis of its k-th input.
  void contracts(std::size_t k, int axis);
  /// Declares that the node takes means (and what is made of them) over these axes of input 0, by
  /// RunMode::mean_weights where they are given. Of channels that may go the means are those of what stays;
  /// that differs from removing a summand, so all are frozen, for the reason given, unless norms may shrink,
  /// and then those of the second labelled axis and on. Those of weights always are.
  void averages(const std::vector<std::int64_t>& axes, const std::string& why);
  void add_macs(double coefficient, const std::vector<AxisOf>& axes);

  // For the analysis, which walks the nodes.
  /// Starts on a node, after finishing the last: what that read without asking for its labels is frozen, so
  /// that no operator can forget an input, and a constant that it read whole stays whole. -1 ends the walk.
  void begin(int node);
  int find(int label) const;
  int label_count() const { return static_cast<int>(parent_.size()); }
  /// Why the label's class stays; empty if it may go.
  const std::string& reason(int label) const;
  /// Nodes that lose nothing by the first of their two ways.
  std::set<int> stuck_on_first_way() const;
  const std::vector<Contraction>& contractions() const { return contractions_; }
  const std::vector<MacTerm>& macs() const { return macs_; }
  /// All labelled axes of a value: [rank], empty where plain.
  const std::vector<Labels>& axes(int value) const { return labels_[index(value)]; }
  /// Axes whose sizes a value was computed from (Shape and arithmetic after it).
  const std::vector<AxisOf>& size_sources(int value) const;
  void set_size_sources(int value, std::vector<AxisOf> sources) { size_sources_[value] = std::move(sources); }
  /// The node in which a label arose, -1 before the first.
  int origin(int label) const { return origin_[index(label)]; }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  int normal(int value, int axis) const;
  /// Only while walking: afterwards a const reference is read by several threads.
  void touch(int value, int axis) const {
    if (walking_) touched_.insert({value, axis});
  }
  void finish(const Node& node);

  const Graph& graph_;
  const Probe& probe_;
  const bool shrink_norms_;
  const std::set<int> second_way_;
  std::vector<std::pair<int, Labels>> first_ways_;  // node, labels
  std::vector<std::vector<int>> readers_;           // by value
  int node_ = -1;
  bool walking_ = false, ended_ = false;
  mutable std::set<std::pair<int, int>> touched_;  // value, axis: asked for by the present node
  std::set<int> shape_only_;                       // values of which the present node reads but the shape
  std::set<std::pair<int, int>> whole_;            // constants' axes that some node reads as they are
  std::map<int, std::vector<AxisOf>> size_sources_;
  std::vector<std::vector<Labels>> labels_;  // value, axis
  mutable std::vector<int> parent_;
  std::vector<int> origin_;
  std::map<int, std::string> frozen_;  // by root
  std::vector<Contraction> contractions_;
  std::vector<MacTerm> macs_;
};

}  // namespace quboprune
