#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "quboprune/executor.h"

namespace quboprune {

/// Constants that take another tensor: (value, tensor as it is stored in the file).
using Changes = std::vector<std::pair<int, at::Tensor>>;

/// A network that is run over batches node by node, each batch's live values kept while memory allows, so
/// that walking through all layers costs one forward pass.
class Lockstep {
 public:
  using Values = std::vector<at::Tensor>;

  /// Values are kept between calls where those alive take less than `room` bytes at their most, judged by the
  /// first batch; otherwise each call starts at the inputs again.
  Lockstep(const Graph& graph, std::vector<std::vector<at::Tensor>> inputs, std::size_t room);

  /// The values before node `node` is run; must not go back in kept mode. Valid until the next call.
  const Values& before(int node, std::size_t batch);
  /// One node's outputs for values from before(), which it leaves as they are.
  at::Tensor output_of(int node, const Values& values) const;
  /// The graph's first output with some constants changed, from the values before `node`.
  at::Tensor finish(int node, std::size_t batch, const Changes& changes);
  /// Changes constants for good. Nodes that read them mustn't have been run yet.
  void apply(const Changes& changes);

  const Graph& graph() const { return network_.graph(); }

 private:
  struct State {
    int next = 0;
    Values values;
  };
  void advance(State& state, int node) const;
  State start(std::size_t batch) const;
  std::size_t live_bytes() const;

  Executor network_;
  std::vector<std::vector<at::Tensor>> inputs_;
  std::vector<std::vector<int>> last_uses_;  // by node: values that aren't read after it
  bool keep_ = false;
  std::vector<State> kept_;
  State scratch_;
  std::size_t scratch_batch_ = 0;
};

}  // namespace quboprune
