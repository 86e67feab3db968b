#include "ops/base/patterns.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <set>

#include "quboprune/error.h"

namespace quboprune {

void couple_same(const Node& node, Coupling& coupling) {
  const int from = node.input(0);
  for (int axis = 0; axis < coupling.rank(from); ++axis) {
    if (coupling.seen(node.output(0))) coupling.set(node.output(0), axis, coupling.labels(from, axis));
  }
}

void freeze_from(int value, int first, Coupling& coupling, const char* why) {
  for (int axis = first; axis < coupling.rank(value); ++axis)
    coupling.freeze(coupling.peek(value, axis), why);
}

at::Tensor mean_over(const at::Tensor& x, const std::vector<std::int64_t>& axes, const RunMode& mode) {
  if (!mode.mean_weights.defined()) return x.mean(axes, true);
  // Sums, not means: of one channel that stays the mean must be that channel, to the last bit, or what it is
  // subtracted from leaves rounding where nothing should be left.
  const at::Tensor weights = mode.mean_weights.to(x.options());
  std::int64_t alike = 1;  // positions that the weights don't tell apart
  for (const auto a : axes) alike *= weights.size(a) == 1 ? x.size(a) : 1;
  return at::mul(x, weights).sum(axes, true) / (weights.sum(axes, true) * alike);
}

Labels tie_runs(const Labels& labels, std::size_t count, Coupling& coupling) {
  Labels firsts;
  const std::size_t each = labels.size() / count;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i % each == 0) firsts.push_back(labels[i]);
    coupling.tie(labels[i], firsts.back());
  }
  return firsts;
}

void couple_outside(const Node& node, int first, int end, Coupling& coupling, const char* why) {
  for (int axis = first; axis < end && axis < coupling.rank(node.input(0)); ++axis)
    coupling.freeze(coupling.labels(node.input(0), axis), why);
  couple_same(node, coupling);
}

void couple_channels(const Node& node, Coupling& coupling) {
  const int from = node.input(0);
  freeze_from(from, 2, coupling, "works across this axis");
  for (int axis = 0; axis < std::min(2, coupling.rank(from)); ++axis) {
    coupling.set(node.output(0), axis, coupling.labels(from, axis));
  }
}

void couple_broadcast(const Node& node, const std::vector<std::size_t>& inputs, Coupling& coupling) {
  const int out = node.output(0);
  const int rank = coupling.rank(out);
  for (int axis = 0; axis < rank; ++axis) {
    const auto size = coupling.shape(out)[static_cast<std::size_t>(axis)];
    if (size <= 1) continue;
    Labels result;
    bool plain = false;
    for (std::size_t k : inputs) {
      const int v = node.input(k);
      if (v < 0) continue;
      const int own = axis - (rank - coupling.rank(v));
      if (own < 0 || coupling.shape(v)[static_cast<std::size_t>(own)] != size) continue;
      const Labels here = coupling.labels(v, own);
      if (here.empty()) {
        plain = true;
      } else if (result.empty()) {
        result = here;
      } else {
        coupling.tie(result, here);
      }
    }
    if (plain) coupling.freeze(result, "joins channels that must stay");
    coupling.set(out, axis, result);
  }
}

namespace {

/// Axes [from, from_end) hold the same elements as [to, to_end).
struct Block {
  std::vector<int> from, to;
};

std::vector<Block> blocks_of(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to) {
  std::vector<Block> result;
  std::size_t i = 0;
  std::size_t o = 0;
  while (i < from.size() || o < to.size()) {
    Block block;
    std::int64_t left = 1;
    std::int64_t right = 1;
    do {
      if (i < from.size() && (left <= right || o >= to.size())) {
        if (from[i] != 1) block.from.push_back(static_cast<int>(i));
        left *= from[i++];
      } else if (o < to.size()) {
        if (to[o] != 1) block.to.push_back(static_cast<int>(o));
        right *= to[o++];
      } else {
        break;
      }
    } while (left != right || left == 1);
    if (!block.from.empty() || !block.to.empty()) result.push_back(block);
  }
  return result;
}

std::int64_t inner_size(const std::vector<int>& axes, std::size_t at,
                        const std::vector<std::int64_t>& shape) {
  std::int64_t inner = 1;
  for (std::size_t k = at + 1; k < axes.size(); ++k) inner *= shape[static_cast<std::size_t>(axes[k])];
  return inner;
}

/// Labels of a block's elements in row-major order, seen through its one labelled axis.
Labels flat_labels(const Block& block, std::size_t at, const Labels& labels,
                   const std::vector<std::int64_t>& shape) {
  std::int64_t total = 1;
  for (int axis : block.from) total *= shape[static_cast<std::size_t>(axis)];
  const std::int64_t inner = inner_size(block.from, at, shape);
  const auto size = static_cast<std::int64_t>(labels.size());
  Labels flat(static_cast<std::size_t>(total));
  for (std::int64_t e = 0; e < total; ++e)
    flat[static_cast<std::size_t>(e)] = labels[static_cast<std::size_t>(e / inner % size)];
  return flat;
}

/// For each index of an output axis, the first element there, and the classes that ties along it would leave.
struct Carrier {
  std::size_t at = 0;
  std::int64_t inner = 1, size = 1;
  std::size_t classes = 0;
};

std::size_t classes_left(const Labels& flat, const Carrier& c, const Coupling& coupling) {
  // Indices of the axis that share a label merge; counting their merged sets is a small union-find.
  std::vector<int> parent(static_cast<std::size_t>(c.size));
  for (std::size_t i = 0; i < parent.size(); ++i) parent[i] = static_cast<int>(i);
  const auto root = [&](int i) {
    while (parent[static_cast<std::size_t>(i)] != i) i = parent[static_cast<std::size_t>(i)];
    return i;
  };
  std::map<int, int> holder;
  for (std::size_t e = 0; e < flat.size(); ++e) {
    const int at = static_cast<int>(static_cast<std::int64_t>(e) / c.inner % c.size);
    const auto [found, fresh] = holder.try_emplace(coupling.find(flat[e]), at);
    if (!fresh) parent[static_cast<std::size_t>(root(at))] = root(found->second);
  }
  std::set<int> roots;
  for (int i = 0; i < static_cast<int>(parent.size()); ++i) roots.insert(root(i));
  return roots.size();
}

/// Where an axis of a value may lie behind a node that only moves, parts, joins or repeats axes; empty if it
/// isn't such a node.
std::vector<int> axes_after(const Node& node, int axis, const Coupling& c) {
  const int from = node.input(0);
  const int to = node.output(0);
  const int lost = c.rank(from) - c.rank(to);
  if (node.op == "Transpose") {
    auto order = node.integers("perm");
    for (int a = c.rank(from); order.size() < static_cast<std::size_t>(c.rank(from));) order.push_back(--a);
    return {static_cast<int>(std::find(order.begin(), order.end(), axis) - order.begin())};
  }
  if (node.op == "Reshape" || node.op == "Unsqueeze" || node.op == "Flatten") {
    for (const auto& block : blocks_of(c.shape(from), c.shape(to))) {
      if (std::ranges::count(block.from, axis) > 0) return block.to;
    }
    return {};
  }
  if (node.op == "Expand") return {axis - lost};
  if (node.op == "Gather" || node.op == "Squeeze") {  // the axis that parts queries, keys and values
    const auto gone = node.op == "Gather" || node.has("axis") ? node.integer("axis", 0) : 0;
    if (lost == 1 && gone == axis) return {};
    return {lost == 1 && gone >= 0 && gone < axis ? axis - 1 : axis};
  }
  const bool same = node.op == "Mul" || node.op == "Div" || node.op == "Split" || node.op == "Slice" ||
                    node.op == "Identity" || node.op == "Softmax" || node.op == "Cast" || node.op == "Tile" ||
                    node.op == "LpNormalization" || node.op == "Add" || node.op == "Sqrt";
  return same && lost == 0 ? std::vector<int>{axis} : std::vector<int>{};
}

/// Does the axis number independent products of two computed values behind `value`: the heads of attention?
/// Between them and the product, few keys may be repeated for many queries (grouped queries).
bool numbers_heads(int value, int axis, const Coupling& c) {
  constexpr std::size_t kFar = 64;  // values looked at: a block of attention is smaller
  std::vector<std::pair<int, int>> found{{value, axis}};
  for (std::size_t k = 0; k < found.size() && found.size() < kFar; ++k) {
    const auto [here, at] = found[k];
    if (!c.seen(here)) continue;
    for (int n : c.readers(here)) {
      const Node& node = c.graph().nodes[static_cast<std::size_t>(n)];
      if (!c.seen(node.output(0))) continue;
      if (node.op == "MatMul") {
        const bool computed = !c.known(node.input(0)).defined() && !c.known(node.input(1)).defined();
        if (computed && at < c.rank(here) - 2) return true;
        continue;
      }
      for (int next : axes_after(node, at, c)) {
        for (int out : node.outputs) {
          const std::pair<int, int> place{out, next};
          if (out >= 0 && std::ranges::count(found, place) == 0) found.push_back(place);
        }
      }
    }
  }
  return false;
}

/// Does what reads the value normalise each index of the axis by itself? So GroupNorm is exported: a Reshape
/// to groups in front of an InstanceNormalization.
bool normalised_apart(int value, int axis, const Coupling& c) {
  return std::ranges::any_of(c.readers(value), [&](int n) {
    const Node& node = c.graph().nodes[static_cast<std::size_t>(n)];
    return node.op == "InstanceNormalization" && node.input(0) == value && axis == 1;
  });
}

void couple_block(const Block& block, int from, int to, Coupling& coupling) {
  std::size_t at = block.from.size();
  Labels labels;
  for (std::size_t k = 0; k < block.from.size(); ++k) {
    const Labels here = coupling.labels(from, block.from[k]);
    if (here.size() > labels.size()) {
      coupling.freeze(labels, "merges two axes of channels");
      labels = here;
      at = k;
    } else {
      coupling.freeze(here, "merges two axes of channels");
    }
  }
  if (labels.empty()) return;
  if (block.to.empty()) {
    coupling.freeze(labels, "its shape isn't understood");
    return;
  }
  const Labels flat = flat_labels(block, at, labels, coupling.shape(from));
  Carrier best;
  for (std::size_t k = 0; k < block.to.size(); ++k) {
    Carrier c{k, inner_size(block.to, k, coupling.shape(to)),
              coupling.shape(to)[static_cast<std::size_t>(block.to[k])], 0};
    c.classes = block.to.size() == 1 ? 1 : classes_left(flat, c, coupling);
    if (c.classes > best.classes) best = c;
    if (c.classes > 1 && block.to.size() > 1 &&
        (numbers_heads(to, block.to[k], coupling) || normalised_apart(to, block.to[k], coupling))) {
      best = c;
      break;
    }
  }
  Labels carried(static_cast<std::size_t>(best.size), -1);
  for (std::size_t e = 0; e < flat.size(); ++e) {
    int& here = carried[static_cast<std::size_t>(static_cast<std::int64_t>(e) / best.inner % best.size)];
    if (here < 0) {
      here = flat[e];
    } else {
      coupling.tie(here, flat[e]);
    }
  }
  coupling.set(to, block.to[best.at], carried);
}

}  // namespace

void couple_reshape(int from, int to, Coupling& coupling) {
  const auto& before = coupling.shape(from);
  for (std::size_t axis = 0; axis < before.size(); ++axis) {
    if (before[axis] == 0) {  // nothing to follow
      coupling.freeze_value(from, "an empty tensor");
      return;
    }
  }
  for (const auto& block : blocks_of(before, coupling.shape(to))) couple_block(block, from, to, coupling);
}

std::vector<std::int64_t> to_integers(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kCPU, at::kLong).contiguous().view(-1);
  const auto* data = static_cast<const std::int64_t*>(wide.data_ptr());
  return {data, data + wide.numel()};
}

at::Tensor integer_tensor(const std::vector<std::int64_t>& values) {
  return at::tensor(values, at::kLong);
}

std::optional<std::vector<std::int64_t>> integers_of(const Node& node, const std::vector<at::Tensor>& inputs,
                                                     std::size_t k, const char* attribute) {
  if (k < inputs.size() && inputs[k].defined()) return to_integers(inputs[k]);
  if (node.has(attribute)) return node.integers(attribute);
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> known_integers(const Node& node, const Coupling& coupling,
                                                        std::size_t k, const char* attribute) {
  if (node.input(k) >= 0) {
    const at::Tensor known = coupling.known(node.input(k));
    if (!known.defined()) return std::nullopt;
    return to_integers(known);
  }
  if (node.has(attribute)) return node.integers(attribute);
  return std::nullopt;
}

void require_usable(const Node& node, const std::vector<std::int64_t>& shape) {
  double count = 1;
  for (auto d : shape) count *= d < 0 ? 1e18 : static_cast<double>(d);
  if (count > 0x1p31) throw InputError(node.title() + ": a shape that isn't usable; export the model again");
}

std::int64_t positive_axis(std::int64_t axis, std::int64_t rank, const Node& node) {
  const auto result = axis < 0 ? axis + rank : axis;
  if (result < 0 || (result >= rank && rank > 0)) {
    throw InputError(node.title() + ": axis " + std::to_string(axis) + " of a value with " +
                     std::to_string(rank) + " axes; export the model again");
  }
  return result;
}

at::Tensor positive_indices(const Node& node, const at::Tensor& indices, std::int64_t size) {
  at::Tensor index = indices.to(at::kLong);
  index = at::where(index < 0, index + size, index);
  if (index.numel() > 0 && (index.min().item<std::int64_t>() < 0 || index.max().item<std::int64_t>() >= size))
    throw InputError(node.title() + ": an index outside its axis; export the model again");
  return index;
}

}  // namespace quboprune
