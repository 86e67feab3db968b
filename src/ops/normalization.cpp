// InstanceNormalization, GroupNormalization, LayerNormalization, RMSNormalization: statistics over some axes.
// A channel may go where its own values alone make its statistics (InstanceNormalization), a group of
// channels as a whole (GroupNormalization); other axes that statistics run over are frozen, unless norms may
// shrink (Coupling::averages).

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

std::vector<std::int64_t> axes_from(std::int64_t first, std::int64_t rank) {
  std::vector<std::int64_t> result;
  for (auto a = first; a < rank; ++a) result.push_back(a);
  return result;
}

at::Tensor along_channels(const at::Tensor& vector, std::int64_t rank) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rank), 1);
  shape[1] = -1;
  return vector.view(shape);
}

void couple_by_channel(const Node& node, Coupling& c) {
  couple_channels(node, c);
  const Labels channels = c.labels(node.input(0), 1);
  for (std::size_t k = 1; k < 3; ++k) {
    if (node.input(k) >= 0) c.tie(c.labels(node.input(k), 0), channels, "normalises channels that must stay");
  }
}

class InstanceNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axes = axes_from(2, x.dim());
    if (axes.empty()) throw InputError(node.title() + ": its input has no spatial axes");
    const at::Tensor centred = x - x.mean(axes, true);
    const at::Tensor variance = (centred * centred).mean(axes, true);
    return {centred * at::rsqrt(variance + node.real("epsilon", 1e-5)) * along_channels(in.at(1), x.dim()) +
            along_channels(in.at(2), x.dim())};
  }
  void couple(const Node& node, Coupling& c) const override { couple_by_channel(node, c); }
};

/// Before opset 21 scale and bias are per group, after it per channel.
class GroupNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const auto& x = in.at(0);
    const auto groups = node.integer("num_groups", 0);
    if (groups < 1 || x.dim() < 2 || x.size(1) % groups != 0)
      throw InputError(node.title() + ": " + std::to_string(groups) + " groups don't divide its channels");
    // One group keeps its axes apart, so that weights of channels fit.
    const at::Tensor parts = groups == 1 ? x : x.reshape({x.size(0), groups, -1});
    const auto axes = axes_from(groups == 1 ? 1 : 2, parts.dim());
    const at::Tensor centred = parts - mean_over(parts, axes, mode);
    const at::Tensor variance = mean_over(centred * centred, axes, mode);
    const at::Tensor normal = (centred * at::rsqrt(variance + node.real("epsilon", 1e-5))).reshape(x.sizes());
    return {normal * per_channel(in.at(1), x) + per_channel(in.at(2), x)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const auto groups = node.integer("num_groups", 0);
    if (groups < 2) {
      c.averages(axes_from(1, c.rank(node.input(0))), "normalises over all channels");
      couple_same(node, c);
    } else {
      couple_channels(node, c);
    }
    const Labels channels = c.labels(node.input(0), 1);
    const Labels whole = groups < 2 ? Labels() : tie_runs(channels, static_cast<std::size_t>(groups), c);
    for (std::size_t k = 1; k < 3; ++k) {
      const int vector = node.input(k);
      const bool by_group = c.shape(vector)[0] == groups;
      if (by_group && groups < 2) continue;  // one number for all
      c.tie(c.labels(vector, 0), by_group ? whole : channels, "normalises channels that must stay");
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    const int x = node.input(0);
    if (!s.cut(x, 1) || node.integer("num_groups", 0) < 2) return;
    const auto each = s.size_before(x, 1) / node.integer("num_groups", 1);
    s.set_attribute("num_groups", Attribute::of(s.size_after(x, 1) / each));
  }

 private:
  static at::Tensor per_channel(const at::Tensor& vector, const at::Tensor& x) {
    if (vector.dim() != 1 || vector.numel() == 0 || x.size(1) % vector.size(0) != 0)
      throw InputError(
          "a normalisation whose scale or bias doesn't fit its channels; export the model again");
    return along_channels(vector.repeat_interleave(x.size(1) / vector.size(0)), x.dim());
  }
};

class LayerNormalization final : public Operator {
 public:
  explicit LayerNormalization(bool centre) : centre_(centre) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const auto& x = in.at(0);
    const auto axes = axes_from(positive_axis(node.integer("axis", -1), x.dim(), node), x.dim());
    const at::Tensor mean = mean_over(x, axes, mode);
    const at::Tensor centred = centre_ ? x - mean : x;
    const at::Tensor scale = at::rsqrt(mean_over(centred * centred, axes, mode) + node.real("epsilon", 1e-5));
    at::Tensor y = centred * scale * in.at(1);
    if (given(in, 2).defined()) y = y + in[2];
    if (!centre_) return {y};
    return {y, mean, scale};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int rank = c.rank(node.input(0));
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", -1), rank, node));
    c.averages(axes_from(axis, rank), "normalises over these channels");
    couple_broadcast(node, {0, 1, 2}, c);
    for (std::size_t k = 1; k < node.outputs.size(); ++k) {
      for (int a = 0; a < axis && c.seen(node.output(k)); ++a)
        c.set(node.output(k), a, c.labels(node.input(0), a));
    }
  }

 private:
  bool centre_;
};

}  // namespace

void make_normalization(OperatorTable& table) {
  table.add("InstanceNormalization", std::make_shared<InstanceNormalization>());
  table.add("GroupNormalization", std::make_shared<GroupNormalization>());
  table.add("LayerNormalization", std::make_shared<LayerNormalization>(true));
  table.add("RMSNormalization", std::make_shared<LayerNormalization>(false));
}

}  // namespace quboprune
