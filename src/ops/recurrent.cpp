// LSTM, GRU and RNN: one layer, in either or both directions, batch or positions first, with initial states,
// lengths, peepholes, clipping and all of ONNX's activations. The channels that it reads may go; its hidden
// units stay.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <utility>

#include "ops/base/layers.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::size_t kWeights = 1, kRecurrent = 2, kBias = 3, kLengths = 4, kHidden = 5, kCell = 6,
                      kPeepholes = 7;

using Activation = std::function<at::Tensor(const at::Tensor&)>;

/// Those that take no numbers, by their names in lower case, as runtimes read them.
const std::map<std::string, Activation>& plain_activations() {
  static const std::map<std::string, Activation> all{
      {"sigmoid", [](const at::Tensor& x) { return at::sigmoid(x); }},
      {"tanh", [](const at::Tensor& x) { return at::tanh(x); }},
      {"relu", [](const at::Tensor& x) { return at::relu(x); }},
      {"softsign", [](const at::Tensor& x) { return x / (1 + x.abs()); }},
      {"softplus", [](const at::Tensor& x) { return at::softplus(x); }}};
  return all;
}

/// One that takes an alpha, and perhaps a beta.
struct Shaped {
  double alpha, beta;  ///< where the file gives none
  bool takes_beta;
  at::Tensor (*of)(const at::Tensor& x, double alpha, double beta);
};

const std::map<std::string, Shaped>& shaped_activations() {
  static const std::map<std::string, Shaped> all{
      {"leakyrelu", {0.01, 0, false, [](auto& x, double a, double) { return at::leaky_relu(x, a); }}},
      {"thresholdedrelu", {1, 0, false, [](auto& x, double a, double) { return at::threshold(x, a, 0); }}},
      {"elu", {1, 0, false, [](auto& x, double a, double) { return at::elu(x, a); }}},
      {"affine", {1, 0, true, [](auto& x, double a, double b) { return x * a + b; }}},
      {"scaledtanh", {1, 1, true, [](auto& x, double a, double b) { return at::tanh(x * b) * a; }}},
      {"hardsigmoid", {0.2, 0.5, true, [](auto& x, double a, double b) { return (x * a + b).clamp(0, 1); }}}};
  return all;
}

/// A node's activations in the order of its list; those that take numbers draw them from two lists in turn.
std::vector<Activation> activations_of(const Node& node, std::vector<std::string> names) {
  const auto own = node.attributes.find("activations");
  if (own != node.attributes.end()) {
    const auto& listed = own->second.strings;
    std::copy_n(listed.begin(), std::min(listed.size(), names.size()), names.begin());
  }
  const auto alphas = node.reals("activation_alpha"), betas = node.reals("activation_beta");
  std::size_t alpha = 0, beta = 0;
  std::vector<Activation> result;
  for (std::string name : names) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto plain = plain_activations().find(name);
    if (plain != plain_activations().end()) {
      result.push_back(plain->second);
      continue;
    }
    const auto found = shaped_activations().find(name);
    if (found == shaped_activations().end())
      throw InputError(node.title() + ": no such activation as " + name + "; export the model again");
    const Shaped& shaped = found->second;
    const double a = alpha < alphas.size() ? alphas[alpha++] : shaped.alpha;
    const double b = shaped.takes_beta && beta < betas.size() ? betas[beta++] : shaped.beta;
    result.push_back([of = shaped.of, a, b](const at::Tensor& x) { return of(x, a, b); });
  }
  return result;
}

/// One direction's numbers, and what it remembers.
struct Direction {
  at::Tensor weights;             ///< [gates x hidden, inputs]
  at::Tensor recurrent;           ///< [gates x hidden, hidden]
  at::Tensor bias_in, bias_back;  ///< [gates x hidden]
  at::Tensor peepholes;           ///< [3 x hidden], LSTM's, or undefined
  std::vector<Activation> activations;
  double clip = 0;           ///< of what activations read; 0: none
  bool coupled = false;      ///< LSTM: what isn't let in is forgotten
  bool resets_last = false;  ///< GRU: the reset gate acts behind the recurrent product

  at::Tensor bounded(const at::Tensor& x) const { return clip > 0 ? x.clamp(-clip, clip) : x; }
  at::Tensor activated(std::size_t k, const at::Tensor& x) const { return activations[k](bounded(x)); }
};

struct State {
  at::Tensor hidden, cell;  ///< [batch, hidden]; cell: LSTM's, or undefined
};

/// `input`: a position's share of the gates, W x and its bias, [batch, gates x hidden].
using Step = State (*)(const Direction&, const at::Tensor& input, const State&);

State rnn_step(const Direction& d, const at::Tensor& input, const State& s) {
  return {d.activated(0, input + at::matmul(s.hidden, d.recurrent.t()) + d.bias_back), {}};
}

State gru_step(const Direction& d, const at::Tensor& input, const State& s) {
  const auto x = input.chunk(3, 1);  // update, reset, hidden
  const auto r = d.recurrent.chunk(3, 0);
  const auto b = d.bias_back.chunk(3, 0);
  const at::Tensor update = d.activated(0, x[0] + at::matmul(s.hidden, r[0].t()) + b[0]);
  const at::Tensor reset = d.activated(0, x[1] + at::matmul(s.hidden, r[1].t()) + b[1]);
  const at::Tensor back = d.resets_last ? reset * (at::matmul(s.hidden, r[2].t()) + b[2])
                                        : at::matmul(reset * s.hidden, r[2].t()) + b[2];
  return {(1 - update) * d.activated(1, x[2] + back) + update * s.hidden, {}};
}

State lstm_step(const Direction& d, const at::Tensor& input, const State& s) {
  const auto gates =
      (input + at::matmul(s.hidden, d.recurrent.t()) + d.bias_back).chunk(4, 1);  // in, out, forget, cell
  const auto looks = d.peepholes.defined() ? d.peepholes.chunk(3, 0) : std::vector<at::Tensor>{};
  const auto with = [&](std::size_t gate, std::size_t peephole, const at::Tensor& cell) {
    return looks.empty() ? gates[gate] : gates[gate] + looks[peephole] * cell;
  };
  const at::Tensor in = d.activated(0, with(0, 0, s.cell));
  const at::Tensor forget = d.coupled ? 1 - in : d.activated(0, with(2, 2, s.cell));
  const at::Tensor cell = forget * s.cell + in * d.activated(1, gates[3]);
  return {d.activated(0, with(1, 1, cell)) * d.activations[2](cell), cell};
}

/// What differs between the three.
struct Kind {
  Step step;
  std::vector<std::string> activations;
};

class Recurrent final : public Operator {
 public:
  explicit Recurrent(Kind kind) : kind_(std::move(kind)) {}

  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const bool batch_first = node.integer("layout", 0) != 0;
    const at::Tensor x = batch_first ? in.at(0).transpose(0, 1) : in.at(0);  // [positions, batch, inputs]
    const std::string way = node.text("direction", "forward");
    const std::int64_t ways = way == "bidirectional" ? 2 : 1;
    check_shapes(node, in, ways);
    const std::int64_t hidden = in[kRecurrent].size(2);
    std::vector<std::string> names;
    for (std::int64_t w = 0; w < ways; ++w)
      names.insert(names.end(), kind_.activations.begin(), kind_.activations.end());
    const auto activations = activations_of(node, std::move(names));
    std::vector<at::Tensor> outputs, last, cells;
    for (std::int64_t w = 0; w < ways; ++w) {
      Direction d = direction(node, in, w, hidden);
      const auto each = static_cast<std::ptrdiff_t>(kind_.activations.size());
      d.activations.assign(activations.begin() + w * each, activations.begin() + (w + 1) * each);
      const bool backwards = way == "reverse" || w == 1;
      State state{initial(given(in, kHidden), batch_first, w, x, hidden),
                  initial(given(in, kCell), batch_first, w, x, hidden)};
      outputs.push_back(walk(d, x, given(in, kLengths), backwards, state));
      last.push_back(state.hidden);
      cells.push_back(state.cell);
    }
    const std::int64_t at = batch_first ? 1 : 0;
    at::Tensor y = at::stack(outputs, 1);  // [positions, directions, batch, hidden]
    if (batch_first) y = y.permute({2, 0, 1, 3});
    Tensors result{y, at::stack(last, at)};
    if (cells.front().defined()) result.push_back(at::stack(cells, at));
    return result;
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const bool batch_first = node.integer("layout", 0) != 0;
    const int batch = batch_first ? 0 : 1;
    c.freeze(c.labels(x, 1 - batch), "are positions of a sequence");
    if (node.input(kLengths) >= 0) c.freeze(c.labels(x, batch), "have a length each");
    c.freeze_value(node.input(kRecurrent), "hidden units stay");  // who reads it as W too mustn't cut it
    for (std::size_t k = 0; k < 3; ++k) {
      if (node.output(k) < 0 || !c.seen(node.output(k))) continue;
      const int axis = batch_first ? 0 : k == 0 ? 2 : 1;
      c.set(node.output(k), axis, c.labels(x, batch));
      const auto& shape = c.shape(node.output(k));
      if (shape.back() > 1)
        c.set(node.output(k), -1,
              c.frozen_labels(static_cast<std::size_t>(shape.back()), "hidden units stay"));
    }
    for (std::size_t k : {kHidden, kCell}) {
      if (node.input(k) >= 0)
        c.tie(c.labels(x, batch), c.labels(node.input(k), batch_first ? 0 : 1),
              "joins samples that must stay");
    }
    c.tie(c.labels(x, 2), c.labels(node.input(kWeights), 2), "reads channels that must stay");
    c.contracts(0, 2);
  }

  void cost(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const auto& recurrent = c.shape(node.input(kRecurrent));  // [directions, gates x hidden, hidden]
    const auto rows = static_cast<double>(recurrent[0] * recurrent[1]);
    c.add_macs(rows, {{x, 0}, {x, 1}, {x, 2}});
    c.add_macs(rows * static_cast<double>(recurrent[2]), {{x, 0}, {x, 1}});
  }

 private:
  void check_shapes(const Node& node, const Tensors& in, std::int64_t ways) const {
    const std::string way = node.text("direction", "forward");
    const auto three = [&](std::size_t k) { return !given(in, k).defined() || in[k].dim() == 3; };
    const at::Tensor w = given(in, kWeights), r = given(in, kRecurrent);
    const bool fits = (way == "forward" || way == "reverse" || way == "bidirectional") &&
                      in.at(0).dim() == 3 && w.defined() && r.defined() && three(kWeights) &&
                      three(kRecurrent) && three(kHidden) && (gates_of(node) != 4 || three(kCell)) &&
                      w.size(0) == ways && r.size(0) == ways && w.size(1) == gates_of(node) * r.size(2) &&
                      r.size(1) == w.size(1);
    if (!fits)
      throw InputError(node.title() +
                       ": weights or states that don't fit its direction and input; export the model again");
  }

  Direction direction(const Node& node, const Tensors& in, std::int64_t w, std::int64_t hidden) const {
    Direction d;
    const auto rows = gates_of(node) * hidden;
    d.weights = in.at(kWeights).select(0, w);
    d.recurrent = in.at(kRecurrent).select(0, w);
    const at::Tensor bias = given(in, kBias);
    d.bias_in = bias.defined() ? bias.select(0, w).slice(0, 0, rows) : at::zeros({rows}, d.weights.options());
    d.bias_back = bias.defined() ? bias.select(0, w).slice(0, rows) : at::zeros({rows}, d.weights.options());
    if (given(in, kPeepholes).defined() && gates_of(node) == 4) d.peepholes = in[kPeepholes].select(0, w);
    d.clip = node.real("clip", 0);
    d.coupled = node.integer("input_forget", 0) != 0;
    d.resets_last = node.integer("linear_before_reset", 0) != 0;
    return d;
  }

  at::Tensor initial(const at::Tensor& state, bool batch_first, std::int64_t w, const at::Tensor& x,
                     std::int64_t hidden) const {
    if (state.defined()) return state.select(batch_first ? 1 : 0, w);
    return at::zeros({x.size(1), hidden}, x.options());
  }

  /// [positions, batch, hidden], zeros behind each sequence's end; `state` becomes the last.
  at::Tensor walk(const Direction& d, const at::Tensor& x, const at::Tensor& lengths, bool backwards,
                  State& state) const {
    const at::Tensor inputs = at::matmul(x, d.weights.t()) + d.bias_in;
    const auto positions = x.size(0);
    std::vector<at::Tensor> outputs(static_cast<std::size_t>(positions));
    for (std::int64_t k = 0; k < positions; ++k) {
      const auto t = backwards ? positions - 1 - k : k;
      State next = kind_.step(d, inputs.select(0, t), state);
      at::Tensor output = next.hidden;
      if (lengths.defined()) {
        const at::Tensor within = (lengths.to(at::kLong) > t).view({-1, 1});
        output = at::where(within, next.hidden, at::zeros_like(next.hidden));
        next.hidden = at::where(within, next.hidden, state.hidden);
        if (next.cell.defined()) next.cell = at::where(within, next.cell, state.cell);
      }
      outputs[static_cast<std::size_t>(t)] = output;
      state = std::move(next);
    }
    if (lengths.defined()) {  // of an empty sequence nothing is remembered, as ONNX Runtime has it
      const at::Tensor any = (lengths > 0).view({-1, 1});
      state.hidden = at::where(any, state.hidden, at::zeros_like(state.hidden));
      if (state.cell.defined()) state.cell = at::where(any, state.cell, at::zeros_like(state.cell));
    }
    return at::stack(outputs, 0);
  }

  Kind kind_;
};

}  // namespace

void make_recurrent(OperatorTable& table) {
  table.add("LSTM", std::make_shared<Recurrent>(Kind{lstm_step, {"Sigmoid", "Tanh", "Tanh"}}));
  table.add("GRU", std::make_shared<Recurrent>(Kind{gru_step, {"Sigmoid", "Tanh"}}));
  table.add("RNN", std::make_shared<Recurrent>(Kind{rnn_step, {"Tanh"}}));
}

}  // namespace quboprune
