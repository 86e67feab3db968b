#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <optional>

#include "coupling/analysis.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

constexpr std::int64_t kSmall = 1 << 14;  // values above this many elements aren't remembered

struct Trace {
  std::vector<at::Tensor> values;
  std::vector<std::vector<std::int64_t>> inputs;
  std::optional<std::string> failure;
};

/// Channels that the first convolution reading this input wants, for files that leave them open.
std::int64_t channels_wanted(const Graph& graph, int input) {
  for (const auto& node : graph.nodes) {
    if (node.op != "Conv" || node.input(0) != input || node.input(1) < 0) continue;
    const auto& weight = graph.values[static_cast<std::size_t>(node.input(1))].constant;
    if (weight.defined() && weight.dim() >= 3) return weight.size(1) * node.integer("group", 1);
  }
  return 3;
}

at::Tensor probe_input(const Graph& graph, int input, std::int64_t size, std::int64_t batch,
                       std::uint64_t seed) {
  const Value& value = graph.values[static_cast<std::size_t>(input)];
  if (!value.declared)
    throw InputError("input '" + value.name + "' has no shape in the file; export the model with one");
  std::vector<std::int64_t> shape = value.shape;
  for (std::size_t a = 0; a < shape.size(); ++a) {
    if (shape[a] >= 0) continue;
    shape[a] = a == 0 ? batch : a == 1 && shape.size() >= 3 ? channels_wanted(graph, input) : size;
  }
  std::int64_t count = 1;
  for (auto d : shape) count *= d;
  if (count > (std::int64_t{1} << 30))
    throw InputError("input '" + value.name +
                     "' is declared with more than 2^30 elements; export the model with a smaller size");
  if (value.element != 0 && value.element != 1 && value.element != 10 && value.element != 11 &&
      value.element != 16) {
    return at::zeros(shape, value.element == 6   ? at::kInt
                            : value.element == 9 ? at::kBool
                            : value.element == 2 ? at::kByte
                                                 : at::kLong);
  }
  at::Tensor data = at::empty({count}, at::kFloat);
  Rng rng(seed);
  auto* numbers = static_cast<float*>(data.data_ptr());
  for (std::int64_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(rng.uniform());
  return data.view(shape).to(value.element == 11 ? at::kDouble : at::kFloat);
}

/// Runs what can be run; nodes that we don't know leave their outputs undefined, and so on behind them.
Trace run_probe(const Graph& graph, std::int64_t size, std::int64_t batch, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  Trace trace;
  trace.values.resize(graph.values.size());
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    if (graph.values[v].is_constant()) trace.values[v] = as_run(graph.values[v].constant);
  }
  for (int input : graph.inputs) {
    trace.values[static_cast<std::size_t>(input)] = probe_input(graph, input, size, batch, seed);
    trace.inputs.push_back(trace.values[static_cast<std::size_t>(input)].sizes().vec());
  }
  for (const auto& node : graph.nodes) {
    const Operator* op = operators().find(node);
    Tensors in;
    bool ready = op != nullptr;
    for (int v : node.inputs) {
      in.push_back(v < 0 ? at::Tensor() : trace.values[static_cast<std::size_t>(v)]);
      ready = ready && (v < 0 || in.back().defined());
    }
    if (!ready) continue;
    try {
      const Tensors out = op->run(node, in, {});
      for (std::size_t k = 0; k < out.size() && k < node.outputs.size(); ++k) {
        if (node.outputs[k] >= 0) trace.values[static_cast<std::size_t>(node.outputs[k])] = out[k];
      }
    } catch (const InputError& e) {
      trace.failure = e.what();
    } catch (const c10::Error& e) {
      const std::string text = e.what_without_backtrace();
      trace.failure = node.title() + ": " + text.substr(0, text.find('\n'));
    } catch (const std::out_of_range&) {
      trace.failure = node.title() + ": an input is missing";
    }
    if (trace.failure) break;
  }
  return trace;
}

Trace first_that_runs(const Graph& graph, std::initializer_list<std::int64_t> sizes, std::int64_t batch,
                      std::uint64_t seed) {
  Trace trace;
  for (auto size : sizes) {
    trace = run_probe(graph, size, batch, seed);
    if (!trace.failure) return trace;
  }
  return trace;
}

bool same_value(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() && b.defined() && a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         at::equal(a, b);
}

}  // namespace

void probe(Analysis& analysis) {
  const Graph& graph = analysis.graph;
  const Trace first = first_that_runs(graph, {128, 64, 224, 256, 512, 32}, 1, 1);
  if (first.failure) throw InputError(*first.failure);
  // Another size tells what depends on the input; networks of a fixed batch or size may refuse it.
  Trace second = first_that_runs(graph, {96, 160, 192, 448}, 2, 2);
  if (second.failure) second = first_that_runs(graph, {96, 160, 192, 448}, 1, 2);
  if (second.failure) second = first_that_runs(graph, {128, 64, 224, 256, 512, 32}, 1, 2);
  if (second.failure) throw InputError(*second.failure);
  Probe& result = analysis.probe;
  analysis.input_shapes = first.inputs;
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    const at::Tensor& a = first.values[v];
    const at::Tensor& b = second.values[v];
    const bool seen = a.defined() && b.defined() && a.dim() == b.dim();
    result.seen.push_back(seen);
    result.shapes.push_back(seen ? a.sizes().vec() : std::vector<std::int64_t>{});
    result.others.push_back(seen ? b.sizes().vec() : std::vector<std::int64_t>{});
    const bool fixed = graph.values[v].is_constant() || (seen && a.numel() <= kSmall && same_value(a, b));
    result.known.push_back(fixed ? a : at::Tensor());
  }
}

}  // namespace quboprune
