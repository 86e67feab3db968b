#include "judging/blocked_chains.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/index.h"
#include "ops/base/blocked_kernels.h"
#include "ops/base/convolution.h"

namespace quboprune {
namespace {

/// Where a blocked value's number of channels can be read: a convolution's weights, and which axis of them.
struct ChannelCount {
  int weight = -1;
  std::int64_t axis = 0;
};

class Rewriting {
 public:
  Rewriting(Graph graph, const ShapeOf& shape)
      : graph_(std::move(graph)),
        shape_(shape),
        consumers_(graph_.consumers()),
        pads_(graph_.nodes.size()),
        follows_(graph_.nodes.size(), 0),
        wanted_(graph_.values.size()),
        blocked_(graph_.values.size(), 0),
        other_(graph_.values.size(), -1) {}

  Graph result() {
    plan();
    if (std::ranges::none_of(pads_, [](const auto& pad) { return pad.has_value(); }))
      return std::move(graph_);
    const std::vector<Node> nodes = std::exchange(graph_.nodes, {});
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      if (fused_.contains(static_cast<int>(n))) continue;
      if (pads_[n])
        add_convolution(nodes[n], *pads_[n], nodes);
      else if (follows_[n] != 0)
        add_follower(nodes[n]);
      else
        add_plain(nodes[n]);
    }
    for (int& v : graph_.outputs) {
      graph_.values[at_index(v)].output = false;
      v = plain(v);
      graph_.values[at_index(v)].output = true;
    }
    graph_.number_producers();
    return std::move(graph_);
  }

 private:
  bool is_computed(int v) const { return v >= 0 && !graph_.values[at_index(v)].is_constant(); }

  bool has_channels(int v) const {
    const auto shape = is_computed(v) ? shape_(v) : std::vector<std::int64_t>();
    return shape.size() == 4 && shape[1] >= kChannelBlock;
  }

  /// The padding on all sides of a convolution of 3x3, by steps of one, of a constant kernel, and wide enough
  /// to pay; nothing for other nodes.
  std::optional<std::int64_t> pad_of_wide_3x3(const Node& node) const {
    if (node.op != "Conv" || !node.domain.empty() || node.inputs.size() > 3 ||
        node.integer("group", 1) != 1 || !has_channels(node.input(0)) || !has_channels(node.output(0)))
      return std::nullopt;
    for (std::size_t k = 1; k < node.inputs.size(); ++k) {
      if (is_computed(node.inputs[k])) return std::nullopt;
    }
    const Constant& weight = graph_.values[at_index(node.input(1))].constant;
    const std::vector<std::int64_t> ones = {1, 1}, kernel = weight.sizes().slice(2).vec();
    if (kernel != std::vector<std::int64_t>{3, 3}) return std::nullopt;
    const Window w = window_of(node, shape_(node.input(0)), kernel);
    const bool plain = w.strides == ones && w.dilations == ones && w.symmetric() &&
                       w.begin[0] == w.begin[1] && w.begin[0] <= 1;
    return plain ? std::optional(w.begin[0]) : std::nullopt;
  }

  static bool is_resize(const Node& node) {
    return node.domain.empty() && (node.op == "Resize" || node.op == "Upsample");
  }

  /// Gives 0 for zeros, and each channel depends on the same one of its operands.
  bool is_by_channel(const Node& node) const {
    static const std::set<std::string> kinds = {"Relu",     "LeakyRelu", "MaxPool", "AveragePool", "Resize",
                                                "Upsample", "Add",       "Sub",     "Mul"};
    if (!node.domain.empty() || !kinds.contains(node.op) || !has_channels(node.output(0)) ||
        node.output(1) >= 0 || !has_channels(node.input(0)))
      return false;
    const auto in = shape_(node.input(0)), out = shape_(node.output(0));
    if (in[0] != out[0] || in[1] != out[1]) return false;
    if (is_resize(node))  // by factors, which name no number of channels
      return node.input(3) < 0 && !node.has("axes") &&
             std::ranges::none_of(node.inputs.begin() + 1, node.inputs.end(),
                                  [&](int v) { return is_computed(v); });
    return std::ranges::all_of(
        node.inputs, [&](int v) { return has_channels(v) && (node.inputs.size() == 1 || shape_(v) == out); });
  }

  void plan() {
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const Node& node = graph_.nodes[n];
      if (pads_[n] = pad_of_wide_3x3(node); pads_[n]) {
        wanted_[at_index(node.inputs[0])] = {node.inputs[1], 1};
        fuse(n);
      } else if (is_by_channel(node) && wanted_[at_index(node.outputs[0])].weight >= 0) {
        follows_[n] = 1;
        const ChannelCount count = wanted_[at_index(node.outputs[0])];
        for (int v : node.inputs) {
          if (is_computed(v)) wanted_[at_index(v)] = count;
        }
      }
    }
  }

  /// A ReLU that alone reads the convolution becomes part of it.
  void fuse(std::size_t convolution) {
    const int v = graph_.nodes[convolution].outputs[0];
    const auto& readers = consumers_[at_index(v)];
    if (readers.size() != 1 || graph_.values[at_index(v)].output) return;
    const Node& reader = graph_.nodes[at_index(readers.front())];
    if (reader.op == "Relu" && reader.domain.empty()) fused_.insert(readers.front());
  }

  void add_convolution(Node node, std::int64_t pad, const std::vector<Node>& nodes) {
    const auto& readers = consumers_[at_index(node.outputs[0])];
    const bool relu = !readers.empty() && fused_.contains(readers.front());
    node.domain = kBlockedDomain;
    node.attributes = {{"pad", Attribute::of(pad)}, {"relu", Attribute::of(std::int64_t{relu ? 1 : 0})}};
    node.inputs[0] = blocked(node.inputs[0]);
    if (relu) node.outputs = nodes[at_index(readers.front())].outputs;
    wanted_[at_index(node.outputs[0])] = {node.inputs[1], 0};
    blocked_[at_index(node.outputs[0])] = 1;
    graph_.nodes.push_back(std::move(node));
  }

  void add_follower(Node node) {
    for (int& v : node.inputs) {
      if (is_computed(v)) v = blocked(v);
    }
    blocked_[at_index(node.outputs[0])] = 1;
    graph_.nodes.push_back(std::move(node));
  }

  void add_plain(Node node) {
    for (auto* list : {&node.inputs, &node.captured}) {
      for (int& v : *list) {
        if (v >= 0) v = plain(v);
      }
    }
    graph_.nodes.push_back(std::move(node));
  }

  int blocked(int v) { return blocked_[at_index(v)] != 0 ? v : converted(v, "Block", {v}, {}); }

  int plain(int v) {
    if (blocked_[at_index(v)] == 0) return v;
    const ChannelCount count = wanted_[at_index(v)];
    return converted(v, "Unblock", {v, count.weight}, {{"axis", Attribute::of(count.axis)}});
  }

  /// The same value in the other layout, by a node that is added when it is first asked for.
  int converted(int v, const char* op, std::vector<int> inputs, std::map<std::string, Attribute> attributes) {
    int& there = other_[at_index(v)];
    if (there >= 0) return there;
    there = static_cast<int>(graph_.values.size());
    Value value;
    value.name = graph_.values[at_index(v)].name + "/" + op;
    graph_.values.push_back(std::move(value));
    Node node;
    node.name = graph_.values.back().name;
    node.op = op;
    node.domain = kBlockedDomain;
    node.inputs = std::move(inputs);
    node.outputs = {there};
    node.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(node));
    return there;
  }

  Graph graph_;
  const ShapeOf& shape_;
  std::vector<std::vector<int>> consumers_;
  std::vector<std::optional<std::int64_t>> pads_;  // by node: of a convolution that is rewritten
  std::vector<char> follows_;                      // by node: run as it is on blocked tensors
  std::set<int> fused_;                            // ReLUs that are part of a convolution
  std::vector<ChannelCount> wanted_;               // by value; a weight where some reader takes it blocked
  std::vector<char> blocked_;                      // by value: what is computed is
  std::vector<int> other_;                         // by value: the same in the other layout, once it is there
};

}  // namespace

Graph with_blocked_chains(Graph graph, const ShapeOf& shape) {
  return Rewriting(std::move(graph), shape).result();
}

}  // namespace quboprune
