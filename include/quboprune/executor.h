#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// Sets the threads of LibTorch's kernels (its own default may be 1); 0: all cores. Call once, early.
void set_threads(int threads);

/// Looks at or replaces what a node reads: gates, masks, recordings. `input`: place among the node's inputs.
using InputHook = std::function<at::Tensor(int node, int input, const at::Tensor& tensor)>;
/// What each index of input 0 counts in the means that a node takes over it, broadcast against it; undefined:
/// all alike. Asked of every node; only those at which a GatePoint with `averages` stands have a use for it.
using MeanHook = std::function<at::Tensor(int node, const at::Tensor& input)>;
/// Told of each value (a number in Graph::values) that a node gives, as it is computed.
using ValueHook = std::function<void(int value, const at::Tensor& tensor)>;

struct ExecutorOptions {
  /// Keeps each constant in the form that it is run in. Otherwise it is converted whenever it is read:
  /// slower, but without a second copy of the network's weights.
  bool hold_constants = true;
};

class BlockedKernels;

struct RunOptions {
  bool training = false;  ///< batch norm with batch statistics, which updates the running ones
  /// Not nullptr: convolutions may be computed by a faster algorithm that rounds more, where there is one
  /// (ours, src/ops/base/blocked_kernels.h). Without gradients, and from one thread at a time.
  BlockedKernels* fast = nullptr;
  InputHook on_input{};
  MeanHook on_mean{};
  ValueHook on_value{};
};

/// Runs a graph on LibTorch, node by node, in float32 (half-precision weights are widened; doubles stay).
/// Differentiable; convolutions run in channels_last, which is 1.1-3 times faster for 3x3 kernels.
class Executor {
 public:
  /// Nodes that can't be run are skipped. Throws InputError naming the first of them if an output needs
  /// it (quboprune/judged_outputs.h gives such a graph other outputs).
  explicit Executor(const Graph& graph, const ExecutorOptions& options = {});

  /// Inputs and outputs are in the graph's order. Throws InputError, naming the node, where shapes don't
  /// fit. Safe from several threads as long as no hook and no training is involved.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs, const RunOptions& options = {}) const;
  /// For networks of one input and one output, the usual case.
  at::Tensor operator()(const at::Tensor& input) const { return run({input}).front(); }

  /// Runs nodes [first, end) from the values they read (others may be undefined); `values` is by number in
  /// Graph::values and receives what they give. Values are kept, not freed: for caches.
  void run_part(int first, int end, std::vector<at::Tensor>& values, const RunOptions& options = {}) const;
  /// Constants and inputs in place, everything else undefined: what run_part starts from.
  std::vector<at::Tensor> initial_values(const std::vector<at::Tensor>& inputs) const;

  const Graph& graph() const { return graph_; }
  /// A constant as it is run, if it is held. Setting one (a weight being trained) leaves the graph's own as
  /// it is.
  const at::Tensor& constant(int value) const { return constants_[static_cast<std::size_t>(value)]; }
  void set_constant(int value, at::Tensor tensor);

 private:
  at::Tensor value_of(int value, const std::vector<at::Tensor>& values) const;
  void run_node(int node, std::vector<at::Tensor>& values, const RunOptions& options) const;

  Graph graph_;
  std::vector<at::Tensor> constants_;        // by value; undefined for computed ones and those not held
  std::vector<std::vector<int>> last_uses_;  // by node: values that aren't read after it
};

/// float32 for half types, channels_last for 4-D weights: how the executor wants a constant.
at::Tensor as_run(const at::Tensor& constant);

}  // namespace quboprune
