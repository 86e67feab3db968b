#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "coupling/analysis.h"
#include "coupling/probe_sizes.h"
#include "model/element_types.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/random.h"
#include "runtime/free_of_data.h"

namespace quboprune {

namespace {

constexpr std::int64_t kSmall = 1 << 14;  // values above this many elements aren't remembered
/// With a value of more elements, a size that only we think of gives way to another one: attention over all
/// positions of an image grows with their square.
constexpr std::int64_t kLarge = std::int64_t{1} << 26;

struct Trace {
  std::vector<std::vector<std::int64_t>> shapes;  // by value
  std::vector<bool> seen;
  std::vector<at::Tensor> small;  // free of data and of few elements; others are dropped once they are read
  InputShapes inputs;
  std::optional<std::string> failure;
  bool too_large = false;  ///< that is the failure
};

/// A convolution for its shape's sake: of one channel to one, seen as all. Its values are wrong but depend on
/// the input as they should; a probe needs no more, and whole convolutions would be nearly all of its time.
/// Nothing where the inputs don't fit: the operator itself says what is wrong with them.
std::optional<at::Tensor> thin_convolution(const Operator& op, const Node& node, const Tensors& in) {
  const bool transposed = node.op == "ConvTranspose";
  if ((node.op != "Conv" && !transposed) || !node.domain.empty() || in.size() < 2) return std::nullopt;
  const at::Tensor& x = in[0];
  const at::Tensor& weight = in[1];
  const auto groups = node.integer("group", 1);
  if (x.dim() < 3 || weight.dim() != x.dim() || groups < 1 || x.numel() == 0 || weight.numel() == 0)
    return std::nullopt;
  const bool fits = transposed ? x.size(1) == weight.size(0) && weight.size(0) % groups == 0
                               : x.size(1) == weight.size(1) * groups && weight.size(0) % groups == 0;
  const auto outputs = transposed ? weight.size(1) * groups : weight.size(0);
  if (!fits || (in.size() > 2 && in[2].defined() && (in[2].dim() != 1 || in[2].size(0) != outputs)))
    return std::nullopt;
  Node thin = node;
  thin.attributes.erase("group");
  const at::Tensor y = op.run(thin, {x.narrow(1, 0, 1), weight.narrow(0, 0, 1).narrow(1, 0, 1)}, {}).at(0);
  std::vector<std::int64_t> shape = y.sizes().vec();
  shape[1] = outputs;
  return y.expand(shape);
}

/// The node's outputs, or why it fails.
Tensors run_node(const Node& node, const Operator& op, const Tensors& in,
                 std::optional<std::string>& failure) {
  try {
    if (auto thin = thin_convolution(op, node, in)) return {*thin};
    return op.run(node, in, {});
  } catch (const InputError& e) {
    failure = e.what();
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    failure =
        node.title() + ": " + text.substr(0, text.find('\n')) + "; check the network in another runtime";
  } catch (const InternalError&) {
    throw;
  } catch (const std::out_of_range&) {
    failure = node.title() + ": an input is missing; export the model again";
  } catch (const std::exception& e) {  // LibTorch's rarer ones, and no memory
    failure = node.title() + ": " + e.what();
  }
  return {};
}

/// How many elements a product of matrices will have at least; 0 for other nodes. What attention over all
/// positions makes of a large size may be more than there is memory.
std::int64_t elements_of_product(const Node& node, const Tensors& in) {
  if (node.op != "MatMul" || !node.domain.empty() || in.size() != 2) return 0;
  for (const auto& t : in)
    if (t.dim() < 2 || t.numel() == 0) return 0;
  const auto rows = in[0].size(-2), columns = in[1].size(-1);
  return rows * columns *
         std::max(in[0].numel() / (rows * in[0].size(-1)), in[1].numel() / (columns * in[1].size(-2)));
}

/// Runs what can be run; nodes that we don't know leave their outputs undefined, and so on behind them.
class ProbeRun {
 public:
  ProbeRun(const Graph& graph, const InputShapes& inputs, std::uint64_t seed, std::int64_t largest)
      : graph_(graph),
        largest_(largest),
        free_(free_of_data(graph)),
        readers_(graph.values.size(), 0),
        values_(graph.values.size()) {
    trace_.shapes.resize(values_.size());
    trace_.seen.resize(values_.size());
    trace_.small.resize(values_.size());
    for (const auto& node : graph.nodes) {
      for (int v : node.inputs) readers_[index(v)] += v >= 0 ? 1 : 0;
    }
    for (std::size_t v = 0; v < values_.size(); ++v) {
      const Constant& constant = graph.values[v].constant;
      if (!constant.defined()) continue;
      trace_.seen[v] = true;
      trace_.shapes[v] = constant.sizes().vec();
    }
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      Rng rng(seed);
      note(graph.inputs[k], random_input(graph.values[index(graph.inputs[k])], inputs[k], rng));
    }
  }

  Trace run() {
    const at::NoGradGuard no_grad;
    for (const auto& node : graph_.nodes) {
      step(node);
      if (trace_.failure) break;
    }
    return std::move(trace_);
  }

 private:
  static std::size_t index(int v) { return static_cast<std::size_t>(std::max(v, 0)); }

  void note(int v, at::Tensor tensor) {
    trace_.seen[index(v)] = true;
    trace_.shapes[index(v)] = tensor.sizes().vec();
    if (free_[index(v)] && tensor.numel() <= kSmall) trace_.small[index(v)] = tensor;
    if (readers_[index(v)] > 0) values_[index(v)] = std::move(tensor);
  }

  at::Tensor value_of(int v) const {
    const Constant& constant = graph_.values[index(v)].constant;
    if (!constant.defined()) return values_[index(v)];
    return widened(constant.tensor());
  }

  void step(const Node& node) {
    const Operator* op = operators().find(node);
    Tensors in;
    bool ready = op != nullptr;
    for (int v : node.inputs) {
      in.push_back(v < 0 ? at::Tensor() : value_of(v));
      ready = ready && (v < 0 || in.back().defined());
    }
    for (int v : node.inputs) {
      if (v >= 0 && --readers_[index(v)] == 0) values_[index(v)] = at::Tensor();
    }
    if (!ready) return;
    if (elements_of_product(node, in) > largest_) return refuse_as_too_large(node);
    Tensors out = run_node(node, *op, in, trace_.failure);
    for (std::size_t k = 0; k < out.size() && k < node.outputs.size(); ++k) {
      if (out[k].defined() && out[k].numel() > largest_) return refuse_as_too_large(node);
      if (node.outputs[k] >= 0 && out[k].defined()) note(node.outputs[k], widened(out[k]));
    }
  }

  void refuse_as_too_large(const Node& node) {
    trace_.failure = node.title() + ": too large";
    trace_.too_large = true;
  }

  const Graph& graph_;
  std::int64_t largest_;      // elements of a value
  std::vector<bool> free_;    // by value: free of data
  std::vector<int> readers_;  // of each value, still to come
  std::vector<at::Tensor> values_;
  Trace trace_;
};

Trace run_probe(const Graph& graph, const InputShapes& inputs, std::uint64_t seed, std::int64_t largest) {
  Trace trace = ProbeRun(graph, inputs, seed, largest).run();
  trace.inputs = inputs;
  return trace;
}

/// Is every input at least as large, along every axis?
bool covers(const InputShapes& sizes, const InputShapes& others) {
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    for (std::size_t a = 0; a < sizes[k].size(); ++a)
      if (sizes[k][a] < others[k][a]) return false;
  }
  return true;
}

/// At the first of the sizes that the network takes; otherwise the trace of the first of all. `wanted`: the
/// first is the user's own, whatever it takes. What was too large isn't tried at still larger sizes.
Trace first_that_runs(const Graph& graph, const std::vector<InputShapes>& sizes, std::uint64_t seed,
                      bool wanted) {
  constexpr auto any = std::numeric_limits<std::int64_t>::max();
  std::optional<Trace> first;
  const InputShapes* large = nullptr;
  for (const auto& size : sizes) {
    if (large && covers(size, *large)) continue;
    Trace trace = run_probe(graph, size, seed, wanted && !first ? any : kLarge);
    if (!trace.failure) return trace;
    if (trace.too_large && !large) large = &size;
    if (!first) first = std::move(trace);
  }
  return large ? run_probe(graph, *large, seed, any) : *std::move(first);
}

bool same_value(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() && b.defined() && a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         at::equal(a, b);
}

}  // namespace

void probe(Analysis& analysis, const SampleSizes& sample) {
  const Graph& graph = analysis.graph;
  const ProbeSizes sizes = first_sizes(graph, sample);
  const Trace first = first_that_runs(graph, sizes.shapes, 1, sizes.wanted);
  if (first.failure && sizes.shapes.size() == 1) throw InputError(*first.failure);
  if (first.failure) {
    throw InputError(fmt::format(
        "the network runs at no size that was tried along the dimensions that the file leaves open "
        "({}); the first failure is {}; export it with the size that it takes",
        sizes.words, *first.failure));
  }
  // Another size tells what depends on the input; networks of a fixed batch or size may refuse it.
  const Trace second = first_that_runs(graph, other_sizes(graph, first.inputs), 2, false);
  if (second.failure) throw InputError(*second.failure);
  Probe& result = analysis.probe;
  analysis.input_shapes = first.inputs;
  analysis.other_input_shapes = second.inputs;
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    const bool seen = first.seen[v] && second.seen[v] && first.shapes[v].size() == second.shapes[v].size();
    result.seen.push_back(seen);
    result.shapes.push_back(seen ? first.shapes[v] : std::vector<std::int64_t>{});
    result.others.push_back(seen ? second.shapes[v] : std::vector<std::int64_t>{});
    Constant known = graph.values[v].constant;
    if (!known.defined() && seen && same_value(first.small[v], second.small[v])) known = first.small[v];
    result.known.push_back(known);
  }
}

at::Tensor random_input(const Value& value, const std::vector<std::int64_t>& shape, Rng& rng) {
  const at::ScalarType type =
      held_type(value.element == 0 ? element::float32 : value.element).value_or(at::kLong);
  if (!at::isFloatingType(type)) return at::zeros(shape, type);
  at::Tensor data = at::empty(shape, at::kFloat);
  auto* numbers = static_cast<float*>(data.data_ptr());
  for (std::int64_t i = 0; i < data.numel(); ++i) numbers[i] = static_cast<float>(rng.uniform());
  return data.to(type == at::kDouble ? at::kDouble : at::kFloat);
}

}  // namespace quboprune
