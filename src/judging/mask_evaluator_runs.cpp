#include "judging/mask_evaluator_runs.h"

#include <algorithm>
#include <functional>

#include "core/index.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// What a network has to do for its first output.
struct Work {
  std::vector<char> runs;  ///< by node
  std::vector<int> loads;  ///< values taken from what is there
};

/// Values that a node reads and another gives.
std::vector<int> computed_inputs(const Graph& graph, const Node& node) {
  std::vector<int> result;
  for (const auto* list : {&node.inputs, &node.captured}) {
    for (int v : *list) {
      if (v >= 0 && graph.values[at_index(v)].producer >= 0 && !graph.values[at_index(v)].is_constant())
        result.push_back(v);
    }
  }
  return result;
}

Work work_of(const KeyedNetwork& network, const std::function<bool(const std::string&)>& available) {
  const Graph& graph = network.executor.graph();
  Work work{std::vector<char>(graph.nodes.size(), 0), {}};
  std::vector<char> wanted(graph.values.size(), 0);
  wanted[at_index(graph.outputs.front())] = 1;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    std::vector<int> found;
    for (int v : graph.nodes[n].outputs) {
      if (v < 0 || !wanted[at_index(v)]) continue;
      if (available(network.keys[at_index(v)]))
        found.push_back(v);
      else
        work.runs[n] = 1;
    }
    if (!work.runs[n]) {
      work.loads.insert(work.loads.end(), found.begin(), found.end());
      continue;
    }
    for (int v : computed_inputs(graph, graph.nodes[n])) wanted[at_index(v)] = 1;
  }
  return work;
}

/// For each value, the constants that it depends on: of two networks that share the value, these agree.
std::vector<std::set<int>> constants_behind(const Graph& graph) {
  std::vector<std::set<int>> result(graph.values.size());
  for (const auto& node : graph.nodes) {
    std::set<int> behind;
    for (int v : node.inputs) {
      if (v < 0) continue;
      if (graph.values[at_index(v)].is_constant() && graph.values[at_index(v)].constant.dim() > 1)
        behind.insert(v);
      behind.insert(result[at_index(v)].begin(), result[at_index(v)].end());
    }
    for (int v : node.outputs) {
      if (v >= 0) result[at_index(v)] = behind;
    }
  }
  return result;
}

}  // namespace

void SharedRuns::follow(const KeyedNetwork& best) {
  // Only where a reader depends on more than the value itself: a convolution's output before its activation
  // is of no use, whoever shares it shares the activation's too.
  const Graph& graph = best.executor.graph();
  const auto behind = constants_behind(graph);
  followed_.clear();
  for (const auto& node : graph.nodes) {
    for (int v : computed_inputs(graph, node)) {
      if (node.output(0) >= 0 && behind[at_index(node.output(0))] != behind[at_index(v)])
        followed_.insert(best.keys[at_index(v)]);
    }
  }
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    const auto next = std::next(entry);
    if (!followed_.contains(entry->first.second)) drop(entry);
    entry = next;
  }
}

void SharedRuns::drop(std::map<Place, Kept>::iterator entry) {
  bytes_ -= entry->second.tensor.nbytes();
  kept_.erase(entry);
}

void SharedRuns::take_turns(std::span<const std::size_t> order) {
  turns_.assign(order.size(), 0);
  for (std::size_t turn = 0; turn < order.size(); ++turn) turns_[order[turn]] = turn;
}

std::size_t SharedRuns::turn_of(int batch) const {
  return at_index(batch) < turns_.size() ? turns_[at_index(batch)] : at_index(batch);
}

bool SharedRuns::make_room(std::size_t bytes, int batch, bool followed) {
  while (bytes_ + bytes > limit_) {
    // What is kept for later calls goes first, of the last batches before the first.
    auto victim = kept_.end();
    for (auto entry = kept_.begin(); entry != kept_.end(); ++entry) {
      const auto& [of, key] = entry->first;
      if (of == batch && uses_.contains(key)) continue;  // due
      if (followed && turn_of(of) <= turn_of(batch)) continue;
      if (victim == kept_.end() || turn_of(of) > turn_of(victim->first.first)) victim = entry;
    }
    if (victim == kept_.end()) return false;
    drop(victim);
  }
  return true;
}

void SharedRuns::store(const std::string& key, int batch, const at::Tensor& tensor) {
  const auto uses = uses_.find(key);
  const bool due = uses != uses_.end() && uses->second > 0;
  const bool followed = followed_.contains(key);
  if (!tensor.defined() || (!due && !followed) || kept_.contains({batch, key})) return;
  if (!make_room(tensor.nbytes(), batch, !due)) return;
  kept_[{batch, key}] = {tensor, followed};
  bytes_ += tensor.nbytes();
  peak_ = std::max(peak_, bytes_);
}

void SharedRuns::expect(std::span<const KeyedNetwork* const> networks, int batch) {
  uses_.clear();
  std::unordered_set<std::string> there;
  const auto available = [&](const std::string& key) {
    return there.contains(key) || kept_.contains({batch, key});
  };
  for (const auto* network : networks) {
    const Graph& graph = network->executor.graph();
    const Work work = work_of(*network, available);
    for (int v : work.loads) ++uses_[network->keys[at_index(v)]];
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      if (!work.runs[n]) continue;
      for (int v : graph.nodes[n].outputs) {
        if (v >= 0) there.insert(network->keys[at_index(v)]);
      }
    }
  }
}

at::Tensor SharedRuns::output(const KeyedNetwork& network, const std::vector<at::Tensor>& inputs, int batch) {
  const Graph& graph = network.executor.graph();
  const Work work = work_of(network, [&](const std::string& key) { return kept_.contains({batch, key}); });
  std::vector<at::Tensor> values = network.executor.initial_values(inputs);
  for (int v : work.loads) {
    const std::string& key = network.keys[at_index(v)];
    const auto entry = kept_.find({batch, key});
    values[at_index(v)] = entry->second.tensor;
    const auto uses = uses_.find(key);
    if (uses == uses_.end() || --uses->second > 0) continue;
    uses_.erase(uses);
    if (!entry->second.followed) drop(entry);
  }
  std::vector<int> readers(graph.values.size(), 0);
  const int result = graph.outputs.front();
  ++readers[at_index(result)];
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!work.runs[n]) continue;
    for (int v : computed_inputs(graph, graph.nodes[n])) ++readers[at_index(v)];
  }
  const RunOptions options{.fast = fast_.get()};
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!work.runs[n]) continue;
    network.executor.run_part(static_cast<int>(n), static_cast<int>(n) + 1, values, options);
    ++nodes_run_;
    for (int v : graph.nodes[n].outputs) {
      if (v < 0) continue;
      store(network.keys[at_index(v)], batch, values[at_index(v)]);
      if (readers[at_index(v)] == 0) values[at_index(v)] = at::Tensor();
    }
    for (int v : computed_inputs(graph, graph.nodes[n])) {
      if (--readers[at_index(v)] == 0) values[at_index(v)] = at::Tensor();
    }
  }
  check(values[at_index(result)].defined(), "an output that nothing gives");
  return values[at_index(result)];
}

void SharedRuns::finish(int batch) {
  uses_.clear();
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    const auto next = std::next(entry);
    if (entry->first.first == batch && !followed_.contains(entry->first.second)) drop(entry);
    entry = next;
  }
}

}  // namespace quboprune
