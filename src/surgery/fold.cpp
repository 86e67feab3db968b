#include "surgery/fold.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <unordered_set>

#include "core/index.h"
#include "coupling/analysis.h"
#include "model/kept_nodes.h"
#include "model/names.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

/// What a layer gives for zeros: its channels' axis stays, along the others nothing changes.
at::Tensor one_position(at::Tensor t, const Node& layer) {
  const bool convolution = layer.op == "Conv" || layer.op == "ConvTranspose";
  for (std::int64_t axis = 0; axis < t.dim(); ++axis) {
    if (axis == (convolution ? 1 : t.dim() - 1) || t.size(axis) == 1) continue;
    const at::Tensor first = t.narrow(axis, 0, 1);
    check(at::equal(first.expand_as(t), t), "a layer that reads zeros gives more than its bias");
    t = first;
  }
  return t.contiguous();
}

class Fold {
 public:
  Fold(const ChannelGroups& groups, const std::vector<Fate>& fates, Graph& sliced,
       const std::function<std::int64_t(int, int)>& size)
      : coupling_(*groups.analysis().coupling),
        fates_(fates),
        graph_(sliced),
        names_(sliced),
        size_(size),
        rests_(fates.size()) {}

  void run() {
    const at::NoGradGuard no_grad;
    for (auto& node : graph_.nodes) {
      if (node.output(0) >= 0 && fate(node.output(0)) == Fate::folded) {
        compute(node);
      } else if (node.output(0) >= 0 && fate(node.output(0)) == Fate::live) {
        read_constants(node);
      }
    }
  }

 private:
  /// Of a value of the graph before; constants that slicing added are live.
  Fate fate(int v) const { return at_index(v) < fates_.size() ? fates_[at_index(v)] : Fate::live; }

  /// What a layer reads of an emptied branch, in its weights' type.
  at::Tensor zeros_for(const Node& layer, int v) const {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < coupling_.rank(v); ++axis) shape.push_back(size_(v, axis));
    return at::zeros(shape, as_run(graph_.values[at_index(layer.input(1))].constant).scalar_type());
  }

  void compute(const Node& node) {
    Tensors inputs;
    bool layer = false;
    at::ScalarType type = at::kFloat;
    for (int v : node.inputs) {
      if (v < 0) {
        inputs.emplace_back();
      } else if (graph_.values[at_index(v)].is_constant()) {
        inputs.push_back(as_run(graph_.values[at_index(v)].constant));
        if (graph_.values[at_index(v)].constant.is_floating_point())
          type = graph_.values[at_index(v)].constant.scalar_type();
      } else if (fate(v) == Fate::folded) {
        inputs.push_back(as_run(rests_[at_index(v)]));
        type = rests_[at_index(v)].scalar_type();
      } else {
        inputs.push_back(zeros_for(node, v));
        layer = true;
      }
    }
    at::Tensor rest = operators().find(node)->run(node, inputs, {}).at(0);
    if (layer) rest = one_position(rest, node);
    rests_[at_index(node.output(0))] = rest.to(type);
  }

  void read_constants(Node& node) {
    for (int& v : node.inputs) {
      if (v < 0 || fate(v) != Fate::folded) continue;
      v = graph_.add_constant(names_.unique(graph_.values[at_index(v)].name + "_rest"), rests_[at_index(v)]);
    }
  }

  const Coupling& coupling_;
  const std::vector<Fate>& fates_;
  Graph& graph_;
  Names names_;  // of graph_
  const std::function<std::int64_t(int, int)>& size_;
  std::vector<at::Tensor> rests_;  // by value
};

/// y = h + 0: what reads y may read h.
void skip_additions_of_zero(Graph& graph, std::size_t first_added) {
  for (const auto& node : graph.nodes) {
    if (node.op != "Add" || node.inputs.size() != 2 || graph.values[at_index(node.output(0))].output)
      continue;
    for (std::size_t k = 0; k < 2; ++k) {
      const int rest = node.inputs[k];
      if (at_index(rest) < first_added || !graph.values[at_index(rest)].is_constant() ||
          graph.values[at_index(rest)].constant.tensor().any().item<bool>())
        continue;
      const int stays = node.inputs[1 - k];
      const int y = node.output(0);
      for (auto& reader : graph.nodes) std::replace(reader.inputs.begin(), reader.inputs.end(), y, stays);
    }
  }
}

}  // namespace

void fold_branches(const ChannelGroups& groups, const std::vector<Fate>& fates, Graph& sliced,
                   const std::function<std::int64_t(int, int)>& size) {
  Fold(groups, fates, sliced, size).run();
}

Graph without_dead_branches(const Graph& file, Graph changed) {
  skip_additions_of_zero(changed, file.values.size());
  const auto before = file.needed_nodes();
  std::unordered_set<int> mattered;  // dead ends of the file's own stay
  for (std::size_t n = 0; n < file.nodes.size(); ++n) {
    if (before[n] != 0) mattered.insert(file.nodes[n].source);
  }
  std::vector<char> dead_ends;
  for (const Node& node : changed.nodes) dead_ends.push_back(mattered.contains(node.source) ? 0 : 1);
  const auto stays = kept_nodes(changed, dead_ends);
  std::vector<Node> kept;
  for (std::size_t n = 0; n < changed.nodes.size(); ++n) {
    if (stays[n] != 0) kept.push_back(std::move(changed.nodes[n]));
  }
  changed.nodes = std::move(kept);
  return changed;
}

}  // namespace quboprune
