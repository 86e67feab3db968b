#include "quboprune/executor.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <new>

#include "core/threads.h"
#include "model/element_types.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/judged_outputs.h"
#include "quboprune/memory.h"
#include "runtime/fixed_batch.h"
#include "runtime/last_uses.h"

namespace quboprune {

void set_threads(int threads) {
  at::set_num_threads(thread_count(threads));
}

at::Tensor as_run(const at::Tensor& constant) {
  at::Tensor result = widened(constant);
  if (result.dim() == 4 && result.is_floating_point())
    result = result.contiguous(at::MemoryFormat::ChannelsLast);
  return result;
}

namespace {

/// In the type that the network declares, as data come in float32; doubles stay where it declares a shorter
/// float (a network that is run in float64).
at::Tensor in_type_of(const Value& input, const at::Tensor& given) {
  const auto type = held_type(input.element);
  if (!type || *type == given.scalar_type()) return given;
  if (*type == at::kBool) return given.ne(0);
  if (!given.is_floating_point()) return given.to(*type);
  if (at::isFloatingType(*type)) return *type == at::kDouble ? given.to(at::kDouble) : given;
  const at::Tensor whole = given.round();
  return (*type == at::kByte ? whole.clamp(0, 255) : whole).to(*type);
}

void refuse_other_batch(const Graph& graph, const Node& node, const std::vector<at::Tensor>& values) {
  if (graph.inputs.empty()) return;
  const at::Tensor& given = values[static_cast<std::size_t>(graph.inputs.front())];
  if (!given.defined() || given.dim() == 0) return;
  if (const auto why = other_batch(graph, given.size(0))) throw InputError(node.title() + ": " + *why);
}

/// LibTorch's own check of shapes and types: its first line says what doesn't fit.
[[noreturn]] void refuse_data(const Graph& graph, const Node& node, const std::vector<at::Tensor>& values,
                              const std::string& what) {
  std::string sizes;
  for (int v : graph.inputs) {
    const at::Tensor& input = values[static_cast<std::size_t>(v)];
    for (std::int64_t a = 0; input.defined() && a < input.dim(); ++a)
      sizes += (a > 0 ? "x" : sizes.empty() ? "" : ", ") + std::to_string(input.size(a));
  }
  refuse_other_batch(graph, node, values);
  throw InputError(
      node.title() + ": the network doesn't take this data" + (sizes.empty() ? "" : " of " + sizes) + " (" +
      what.substr(0, what.find('\n')) +
      "); give data of a size that it takes: for images --size-multiple N cuts to multiples of N, "
      "--crop N and --heldout-crop N to squares");
}

/// An output that can't be computed is the fault of the first node on the way to it that can't run.
void require_outputs(const Graph& graph, const std::vector<char>& runs) {
  for (int v : graph.outputs) {
    const int producer = graph.values[static_cast<std::size_t>(v)].producer;
    if (producer < 0 || runs[static_cast<std::size_t>(producer)] != 0) continue;
    for (const auto& node : graph.nodes) {
      if (operators().find(node)) continue;
      throw InputError(node.title() + ": the operator " + (node.domain.empty() ? "" : node.domain + ".") +
                       node.op +
                       " can't be run here; inspect shows what the network holds, "
                       "docs/adding-an-operator.md how to add one");
    }
    throw InputError(graph.nodes[static_cast<std::size_t>(producer)].title() +
                     ": reads a tensor of a kind that can't be run here; export the model again");
  }
}

}  // namespace

Executor::Executor(const Graph& graph, const ExecutorOptions& options)
    : graph_(graph), constants_(graph.values.size()), last_uses_(last_uses(graph)) {
  require_outputs(graph_, nodes_that_run(graph_));
  for (std::size_t v = 0; v < constants_.size(); ++v) {
    const Value& value = graph_.values[v];
    if (value.is_constant() && (options.hold_constants || value.output))
      constants_[v] = as_run(value.constant);
  }
  // The inputs stay: where data are refused, the message tells their shapes.
  for (auto& list : last_uses_)
    std::erase_if(list, [&](int v) { return graph_.values[static_cast<std::size_t>(v)].input; });
}

void Executor::set_constant(int value, at::Tensor tensor) {
  constants_[static_cast<std::size_t>(value)] = std::move(tensor);
}

std::vector<at::Tensor> Executor::initial_values(const std::vector<at::Tensor>& inputs) const {
  if (inputs.size() != graph_.inputs.size()) {
    throw InputError("the network has " + std::to_string(graph_.inputs.size()) + " inputs, the data " +
                     std::to_string(inputs.size()) + "; give .npz data with an array for each input");
  }
  std::vector<at::Tensor> values = constants_;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const auto v = static_cast<std::size_t>(graph_.inputs[k]);
    values[v] = as_run(in_type_of(graph_.values[v], inputs[k]));
  }
  return values;
}

at::Tensor Executor::value_of(int value, const std::vector<at::Tensor>& values) const {
  if (value < 0) return {};
  const auto v = static_cast<std::size_t>(value);
  if (values[v].defined() || !graph_.values[v].is_constant()) return values[v];
  return as_run(graph_.values[v].constant);
}

void Executor::run_node(int n, std::vector<at::Tensor>& values, const RunOptions& options) const {
  const Node& node = graph_.nodes[static_cast<std::size_t>(n)];
  const Operator* op = operators().find(node);
  if (!op) return;
  Tensors inputs;
  inputs.reserve(node.inputs.size());
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    at::Tensor tensor = value_of(node.inputs[k], values);
    if (node.inputs[k] >= 0 && !tensor.defined()) return;  // comes after one that can't be run
    if (options.on_input && tensor.defined()) tensor = options.on_input(n, static_cast<int>(k), tensor);
    inputs.push_back(std::move(tensor));
  }
  Tensors outputs;
  try {
    RunMode mode{options.training, options.fast};
    if (options.on_mean && !inputs.empty()) mode.mean_weights = options.on_mean(n, inputs.front());
    outputs = op->run(node, inputs, mode);
  } catch (const c10::Error& e) {
    if (says_no_memory(e.what_without_backtrace())) throw std::bad_alloc();
    refuse_data(graph_, node, values, e.what_without_backtrace());
  } catch (const std::out_of_range&) {
    throw InputError(node.title() + ": an input is missing; export the model again");
  } catch (const InputError&) {
    refuse_other_batch(graph_, node, values);
    throw;
  } catch (const std::runtime_error& e) {  // of a few shapes LibTorch complains so
    refuse_data(graph_, node, values, e.what());
  }
  for (std::size_t k = 0; k < node.outputs.size() && k < outputs.size(); ++k) {
    if (node.outputs[k] < 0) continue;
    if (outputs[k].defined()) outputs[k] = widened(outputs[k]);
    if (options.on_value) options.on_value(node.outputs[k], outputs[k]);
    values[static_cast<std::size_t>(node.outputs[k])] = std::move(outputs[k]);
  }
}

void Executor::run_part(int first, int end, std::vector<at::Tensor>& values,
                        const RunOptions& options) const {
  for (int n = first; n < end; ++n) run_node(n, values, options);
}

std::vector<at::Tensor> Executor::run(const std::vector<at::Tensor>& inputs,
                                      const RunOptions& options) const {
  std::vector<at::Tensor> values = initial_values(inputs);
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    run_node(static_cast<int>(n), values, options);
    for (int v : last_uses_[n]) values[static_cast<std::size_t>(v)] = at::Tensor();
  }
  std::vector<at::Tensor> outputs;
  for (int v : graph_.outputs) {
    check(values[static_cast<std::size_t>(v)].defined(), "an output that nothing gives");
    outputs.push_back(values[static_cast<std::size_t>(v)]);
  }
  return outputs;
}

}  // namespace quboprune
