// Attention, of three and four axes: grouped query heads, masks, causal and sliding windows, softcap, past
// and present keys and values. Whole heads go, a key-value head with all the query heads that read it; where
// a head's channels lie on an axis of their own, or there is but one head, those that q·k sums over and those
// of v go one by one. With a cache, or with the products as an output, nothing goes.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <limits>
#include <utility>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::size_t kMask = 3, kPastKey = 4, kPastValue = 5, kLengths = 6;

[[noreturn]] void refuse(const Node& node, const std::string& what) {
  throw InputError(node.title() + ": " + what + "; export the model again");
}

/// [batch, positions, heads x channels] as [batch, heads, positions, channels]; four axes as they are.
at::Tensor with_heads(const Node& node, const at::Tensor& x, const char* attribute) {
  if (x.dim() == 4) return x;
  if (x.dim() != 3) refuse(node, "an input of " + std::to_string(x.dim()) + " axes, not 3 or 4");
  const auto heads = node.integer(attribute, 0);
  if (heads < 1 || x.size(2) % heads != 0)
    refuse(node,
           std::to_string(x.size(2)) + " channels don't make " + attribute + " = " + std::to_string(heads));
  return x.reshape({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

/// How many of the batch's keys come before its queries: [1] or [batch, 1, 1, 1].
at::Tensor keys_before(const Tensors& in, std::int64_t queries) {
  if (given(in, kPastKey).defined()) return at::full({1}, in[kPastKey].size(2), at::kLong);
  if (given(in, kLengths).defined()) return in[kLengths].to(at::kLong).view({-1, 1, 1, 1}) - queries;
  return at::zeros({1}, at::kLong);
}

/// True where query i may look at key j: [queries, keys], or with the batch in front.
at::Tensor allowed_by_position(const Node& node, const Tensors& in, std::int64_t queries, std::int64_t keys) {
  const at::Tensor j = at::arange(keys, at::kLong).view({1, keys});
  const at::Tensor i = at::arange(queries, at::kLong).view({queries, 1}) + keys_before(in, queries);
  at::Tensor allowed = at::ones({queries, keys}, at::kBool);
  if (node.integer("is_causal", 0) != 0) allowed = at::logical_and(allowed, j <= i);
  const auto left = node.integer("left_window_size", -1);
  const auto right = node.integer("right_window_size", -1);
  if (left >= 0) allowed = at::logical_and(allowed, j >= i - left);
  if (right >= 0) allowed = at::logical_and(allowed, j <= i + right);
  if (given(in, kLengths).defined())
    allowed = at::logical_and(allowed, j < in[kLengths].to(at::kLong).view({-1, 1, 1, 1}));
  return allowed;
}

/// What is added to the scores: minus infinity where a query may not look.
at::Tensor bias_of(const Node& node, const Tensors& in, const at::Tensor& scores) {
  const auto keys = scores.size(3);
  const double never = -std::numeric_limits<double>::infinity();
  const at::Tensor allowed = allowed_by_position(node, in, scores.size(2), keys);
  at::Tensor bias = at::zeros({1}, scores.options()).masked_fill(allowed.logical_not(), never);
  at::Tensor mask = given(in, kMask);
  if (!mask.defined()) return bias;
  if (mask.scalar_type() == at::kBool)
    mask = at::zeros({1}, scores.options()).masked_fill(mask.logical_not(), never);
  if (mask.size(-1) < keys) mask = at::constant_pad_nd(mask, {0, keys - mask.size(-1)}, never);
  return bias + mask;
}

/// Each [batch, heads, positions, channels].
struct Operands {
  at::Tensor q, k, v;
};

/// Queries, keys and values, the past's keys and values in front of today's.
Operands operands_of(const Node& node, const Tensors& in) {
  if (in.at(0).dim() != in.at(1).dim() || in[0].dim() != in.at(2).dim())
    refuse(node, "queries, keys and values of different numbers of axes");
  Operands o{with_heads(node, in[0], "q_num_heads"), with_heads(node, in[1], "kv_num_heads"),
             with_heads(node, in[2], "kv_num_heads")};
  if (given(in, kPastKey).defined() != given(in, kPastValue).defined())
    refuse(node, "past keys without past values, or the reverse");
  if (given(in, kPastKey).defined()) {
    o.k = at::cat({in[kPastKey], o.k}, 2);
    o.v = at::cat({in[kPastValue], o.v}, 2);
  }
  if (o.k.size(1) < 1 || o.q.size(1) % o.k.size(1) != 0 || o.k.size(1) != o.v.size(1) ||
      o.k.size(2) != o.v.size(2) || o.q.size(3) != o.k.size(3))
    refuse(node, "queries, keys and values that don't fit each other");
  return o;
}

/// How much each query takes of each key's value. A query that may look nowhere gives zeros.
at::Tensor weights_of(const at::Tensor& capped, const at::Tensor& bias) {
  const at::Tensor nowhere = bias.isneginf().all(-1, true);
  return at::softmax((capped + bias).masked_fill(nowhere, 0), -1).masked_fill(nowhere, 0);
}

class Attention final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto mode = node.integer("qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3) refuse(node, "qk_matmul_output_mode isn't one of 0 to 3");
    const Operands o = operands_of(node, in);
    const auto each = o.q.size(1) / o.k.size(1);  // query heads that read one key-value head
    const auto repeated = [&](const at::Tensor& x) { return each > 1 ? x.repeat_interleave(each, 1) : x; };
    const double scale = node.real("scale", 1 / std::sqrt(static_cast<double>(o.q.size(3))));
    const at::Tensor products = at::matmul(o.q * scale, repeated(o.k).transpose(2, 3));
    const double cap = node.real("softcap", 0);
    const at::Tensor capped = cap > 0 ? at::tanh(products / cap) * cap : products;
    const at::Tensor bias = bias_of(node, in, capped);
    const at::Tensor weights = weights_of(capped, bias);
    at::Tensor y = at::matmul(weights, repeated(o.v));
    if (in[0].dim() == 3) y = y.transpose(1, 2).reshape({y.size(0), y.size(2), y.size(1) * y.size(3)});
    return {y, o.k, o.v, mode == 0 ? products : mode == 1 ? capped : mode == 2 ? capped + bias : weights};
  }

  void couple(const Node& node, Coupling& c) const override {
    const bool caches =
        node.input(kPastKey) >= 0 || node.input(kLengths) >= 0 || node.output(1) >= 0 || node.output(2) >= 0;
    if (caches || node.output(3) >= 0) {
      c.freeze_inputs(node, caches ? "keeps keys and values for later" : "gives its products as an output");
      return;
    }
    const int q = node.input(0);
    const int k = node.input(1);
    const int v = node.input(2);
    const int y = node.output(0);
    for (int other : {k, v}) c.tie(c.labels(q, 0), c.labels(other, 0), "joins samples that must stay");
    c.set(y, 0, c.labels(q, 0));
    for (int value : {q, k, v}) c.freeze(c.labels(value, -2), "works across these positions");
    const Labels heads = c.rank(q) == 4 ? couple_axes(node, c) : couple_joined(node, c);
    couple_mask(node, heads, c);
  }

  void slice(const Node& node, Slicing& s) const override {
    const int q = node.input(0);
    const int channels = s.rank(q) - 1;
    const bool one_by_one = s.rank(q) == 4 || node.integer("q_num_heads", 1) == 1;
    if (one_by_one && s.cut(q, channels) && !node.has("scale")) {
      // The default is made of the channels that are left.
      Attribute scale;
      scale.kind = Attribute::Kind::real;
      scale.f = 1 / std::sqrt(static_cast<double>(s.size_before(q, channels)));
      s.set_attribute("scale", scale);
    }
    const int axis = s.rank(q) == 4 ? 1 : 2;  // of the heads
    for (const auto& [value, attribute] :
         {std::pair{q, "q_num_heads"}, std::pair{node.input(1), "kv_num_heads"}}) {
      const auto heads = node.integer(attribute, 0);  // with four axes they needn't be told
      if (heads > 1 && s.cut(value, axis))
        s.set_attribute(attribute,
                        Attribute::of(s.size_after(value, axis) * heads / s.size_before(value, axis)));
    }
  }

  void cost(const Node& node, Coupling& c) const override {
    const auto& keys = c.shape(node.input(1));
    auto looked_at = static_cast<double>(keys[keys.size() - 2]);
    if (node.input(kPastKey) >= 0) looked_at += static_cast<double>(c.shape(node.input(kPastKey))[2]);
    for (int value : {node.input(0), node.output(0)}) {  // q·k, then its product with v
      std::vector<AxisOf> axes;
      for (int axis = 0; axis < c.rank(value); ++axis) axes.push_back({value, axis});
      c.add_macs(looked_at, axes);
    }
  }

 private:
  /// Each query head's label; empty where all must stay.
  static Labels tie_heads(const Labels& queries, const Labels& keys, const Labels& values, std::size_t groups,
                          Coupling& c) {
    const char* const why = "joins heads that must stay";
    if (groups == 1 && queries.size() > 1) return queries;  // all read the one key-value head
    c.tie(keys, values, why);
    if (queries.empty() || keys.empty()) {
      c.freeze(queries, why);
      c.freeze(keys, why);
      return {};
    }
    const std::size_t each = queries.size() / keys.size();
    for (std::size_t h = 0; h < queries.size(); ++h) c.tie(queries[h], keys[h / each]);
    return queries;
  }

  /// Heads and their channels are axes of their own.
  static Labels couple_axes(const Node& node, Coupling& c) {
    const int q = node.input(0);
    const int k = node.input(1);
    const int v = node.input(2);
    const auto groups = static_cast<std::size_t>(c.shape(k)[1]);
    const Labels heads = tie_heads(c.labels(q, 1), c.labels(k, 1), c.labels(v, 1), groups, c);
    c.set(node.output(0), 1, heads);
    c.tie(c.labels(q, 3), c.labels(k, 3), "reads channels that must stay");
    c.contracts(0, 3);
    c.set(node.output(0), 3, c.labels(v, 3));
    return heads;
  }

  /// Heads lie one behind the other on the axis of channels.
  static Labels couple_joined(const Node& node, Coupling& c) {
    const Labels q = c.labels(node.input(0), 2);
    const Labels k = c.labels(node.input(1), 2);
    const Labels v = c.labels(node.input(2), 2);
    const auto heads = static_cast<std::size_t>(node.integer("q_num_heads", 1));
    const auto groups = static_cast<std::size_t>(node.integer("kv_num_heads", 1));
    if (heads == 1) {
      c.tie(q, k, "reads channels that must stay");
      c.contracts(0, 2);
      c.set(node.output(0), 2, v);
      return {};
    }
    if (groups == 1) {
      c.freeze(k, "a head that all queries read");
      c.freeze(v, "a head that all queries read");
    }
    const Labels own = tie_heads(tie_runs(q, heads, c), groups == 1 ? Labels() : tie_runs(k, groups, c),
                                 groups == 1 ? Labels() : tie_runs(v, groups, c), groups, c);
    Labels out;
    const std::size_t each = static_cast<std::size_t>(c.shape(node.output(0))[2]) / heads;
    for (int label : own) out.insert(out.end(), each, label);
    c.set(node.output(0), 2, out);
    return own;
  }

  /// A mask for each head loses the heads' parts; whatever else is labelled on it stays.
  static void couple_mask(const Node& node, const Labels& heads, Coupling& c) {
    const int mask = node.input(kMask);
    if (mask < 0) return;
    for (int axis = 0; axis < c.rank(mask); ++axis) {
      if (axis != c.rank(mask) - 3) {
        c.freeze(c.labels(mask, axis), "a mask's positions");
      } else if (c.shape(mask)[static_cast<std::size_t>(axis)] > 1) {
        c.tie(c.labels(mask, axis), heads, "masks heads that must stay");
      }
    }
  }
};

}  // namespace

void make_attention(OperatorTable& table) {
  table.add("Attention", std::make_shared<Attention>());
}

}  // namespace quboprune
