#include "recover/refit_lockstep.h"

#include <algorithm>

#include "core/index.h"
#include "quboprune/error.h"
#include "runtime/last_uses.h"

namespace quboprune {

Lockstep::Lockstep(const Graph& graph, std::vector<std::vector<at::Tensor>> inputs, std::size_t room)
    : network_(graph), inputs_(std::move(inputs)), last_uses_(last_uses(graph)) {
  keep_ = live_bytes() < room;
  for (std::size_t b = 0; keep_ && b < inputs_.size(); ++b) kept_.push_back(start(b));
}

Lockstep::State Lockstep::start(std::size_t batch) const {
  return {0, network_.initial_values(inputs_[batch])};
}

void Lockstep::advance(State& state, int node) const {
  check(state.next <= node, "a network can't be run backwards");
  for (; state.next < node; ++state.next) {
    network_.run_part(state.next, state.next + 1, state.values);
    for (int v : last_uses_[at_index(state.next)]) state.values[at_index(v)] = at::Tensor();
  }
}

std::size_t Lockstep::live_bytes() const {
  State state = start(0);
  std::size_t most = 0;
  for (int n = 0; n < static_cast<int>(graph().nodes.size()); ++n) {
    advance(state, n + 1);
    std::size_t live = 0;
    for (std::size_t v = 0; v < state.values.size(); ++v) {
      if (state.values[v].defined() && !graph().values[v].is_constant()) live += state.values[v].nbytes();
    }
    most = std::max(most, live);
  }
  double share = 0;
  for (const auto& input : inputs_)
    share += static_cast<double>(input.front().numel()) / static_cast<double>(inputs_[0].front().numel());
  return static_cast<std::size_t>(static_cast<double>(most) * share);
}

const Lockstep::Values& Lockstep::before(int node, std::size_t batch) {
  if (keep_) {
    advance(kept_[batch], node);
    return kept_[batch].values;
  }
  if (scratch_.values.empty() || scratch_batch_ != batch || scratch_.next > node) scratch_ = start(batch);
  scratch_batch_ = batch;
  advance(scratch_, node);
  return scratch_.values;
}

at::Tensor Lockstep::output_of(int node, const Values& values) const {
  Values copy = values;
  network_.run_part(node, node + 1, copy);
  return copy[at_index(graph().nodes[at_index(node)].output(0))];
}

at::Tensor Lockstep::finish(int node, std::size_t batch, const Changes& changes) {
  State state{node, before(node, batch)};
  for (const auto& [value, tensor] : changes) state.values[at_index(value)] = as_run(tensor);
  advance(state, static_cast<int>(graph().nodes.size()));
  return state.values[at_index(graph().outputs.front())];
}

void Lockstep::apply(const Changes& changes) {
  for (const auto& [value, tensor] : changes) {
    network_.set_constant(value, as_run(tensor));
    for (auto& state : kept_) state.values[at_index(value)] = as_run(tensor);
  }
  scratch_ = State{};
}

}  // namespace quboprune
