#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quboprune/cost_model.h"
#include "quboprune/graph.h"
#include "quboprune/mask.h"

namespace quboprune {

struct Analysis;  // what the walk over the graph found; src/coupling/analysis.h

/// A convolution or a matrix product: a node with weights, or attention, whose channels are its heads.
struct Layer {
  std::string name;         ///< the node's
  int node = -1;            ///< number in Graph::nodes
  std::vector<int> groups;  ///< for each output channel its group, -1 for one that must stay
  double macs = 0;          ///< multiply-accumulates of one run on the analysed input size
  bool weighted = true;     ///< has weights of its own; else its channels are those of what it multiplies
};

/// How many places of an axis a mask leaves. groups: by place its group, -1 for one that stays anyway.
int places_left(std::span<const int> groups, const Mask& mask);

/// Where a group's channels reach the rest of the network: input `input` of node `node`, along `axis`.
/// Removing channels means multiplying this input by the mask; where the node takes means over the axis, it
/// means that the mask weights them, so that they are the means of what stays. An input of a node has one
/// at most.
struct GatePoint {
  int node = -1;
  int input = 0;
  int axis = 0;
  std::vector<int> groups;  ///< by index on the axis; -1: must stay
  bool averages = false;    ///< the node takes means over the axis (AnalyseOptions::shrink_norms)
};

/// What can't be removed, why, and what it costs.
struct Frozen {
  std::string reason;
  int channels = 0;     ///< of layers' outputs
  double macs = 0;      ///< spent on them
  bool counted = true;  ///< false: layers that can't be run, whose macs aren't known (0 above)
};

/// Sizes of one sample, without the batch axis: of its input ([C, H, W]; empty without data), and by name of
/// its arrays for the network's other inputs.
struct SampleSizes {
  std::vector<std::int64_t> input{};
  std::map<std::string, std::vector<std::int64_t>> others{};
};

/// Which layers may lose channels, by shell patterns (*, ?, [..]) over their nodes' names.
struct AnalyseOptions {
  std::vector<std::string> scope{};   ///< empty: all; otherwise layers that match none stay whole
  std::vector<std::string> freeze{};  ///< layers that match any stay whole
  /// Residual branches may lose all their channels: ChannelGroups::branches(), which covers() then leaves
  /// out.
  bool allow_empty = false;
  /// Layer normalisation and other means over channels may lose some of them, and are then those of what
  /// stays; otherwise they freeze what they read. Ours: a removed summand adds 0, but a mean has no value
  /// that a removed share could take, so this changes what the channels that stay are divided by.
  bool shrink_norms = false;
  /// Of the data: what the file leaves open is analysed at them, and multiply-accumulates are counted on
  /// them, up to 2^18 elements of an input; without data at sizes of our own.
  SampleSizes sample{};
};

/// Every prunable set of coupled channels of a network: kept or removed together.
class ChannelGroups {
 public:
  int size() const { return static_cast<int>(names_.size()); }
  /// "<layer>:<channel>", the layer being the first that produces the group.
  const std::string& name(int group) const { return names_[static_cast<std::size_t>(group)]; }
  /// All "<layer>:<channel>" that go with it.
  const std::vector<std::string>& members(int group) const {
    return members_[static_cast<std::size_t>(group)];
  }
  /// Number in layers() of the first layer that produces the group; -1 where none does (padding).
  int layer_of(int group) const { return layer_of_[static_cast<std::size_t>(group)]; }
  const std::vector<Layer>& layers() const { return layers_; }
  const std::vector<GatePoint>& gates() const { return gates_; }
  /// By group: does some GatePoint with `averages` read it?
  std::vector<bool> in_means() const;
  const std::vector<Frozen>& frozen() const { return frozen_; }
  const CostModel& cost() const { return cost_; }
  /// Sets of groups that may go as a whole, with AnalyseOptions::allow_empty; otherwise none.
  const std::vector<std::vector<int>>& branches() const { return branches_; }
  /// Sets of groups of which at least one must stay: those that make up some axis, but for the branches.
  const std::vector<std::vector<int>>& covers() const { return covers_; }
  /// Throws InputError unless the mask has size() entries. So does everything that takes one, kept() apart,
  /// which is asked for each axis of each value.
  void check_size(const Mask& mask) const;
  /// Does the mask (size() entries) leave nothing of one of the covers?
  bool empties_an_axis(const Mask& mask) const;
  /// "1x3x128x128": the size of input that multiply-accumulates are counted on; sizes that the file leaves
  /// open are the data's (AnalyseOptions::sample), or chosen by us.
  const std::string& analysed_size() const { return analysed_size_; }
  /// For an axis (below 0: from the end) of a value (a number in Graph::values), each index's group, -1 for
  /// one that must stay; empty where all must.
  std::vector<int> on_axis(int value, int axis) const;
  /// The indices of an axis that a mask (of size() entries) keeps, ascending; nullopt if it keeps them all,
  /// an empty list if it removes the whole axis.
  std::optional<std::vector<std::int64_t>> kept(int value, int axis, const Mask& mask) const;
  const Analysis& analysis() const { return *analysis_; }

 private:
  friend ChannelGroups analyse(const Graph& graph, const AnalyseOptions& options);
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> members_;
  std::vector<int> layer_of_;
  std::vector<Layer> layers_;
  std::vector<GatePoint> gates_;
  std::vector<Frozen> frozen_;
  CostModel cost_;
  std::string analysed_size_;
  std::shared_ptr<const Analysis> analysis_;
  std::vector<std::vector<int>> branches_, covers_;
};

/// Finds the groups by running the network on two small inputs and asking each operator how it couples its
/// channels. Unknown operators freeze what reaches them. Throws InputError if the network can't be run at any
/// size that we try along open dimensions (the data's, 16 to 1024, 48000 for sound), with the first reason.
/// A group that reaches a layer which must stay whole stays. A pattern that matches no layer is an
/// InputError.
ChannelGroups analyse(const Graph& graph, const AnalyseOptions& options = {});

}  // namespace quboprune
