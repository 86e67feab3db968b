#include "recover/refit_rows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/index.h"
#include "recover/refit_algebra.h"

namespace quboprune {
namespace {

/// A layer in the cut network, with the weights that it still has.
class CutLayer {
 public:
  CutLayer(Bench& bench, const LinearLayer& layer) : bench_(bench), layer_(layer) {}

  at::Tensor outputs(std::size_t batch) {
    const int node = layer_.node();
    return bench_.cut().output_of(node, bench_.cut().before(node, batch));
  }

  /// What it reads at some positions of a batch, as rows: [groups, n, columns].
  at::Tensor rows(std::size_t batch, const LayerTargets& targets, const at::Tensor& positions) {
    const Lockstep::Values& values = bench_.cut().before(layer_.node(), batch);
    return layer_.rows(values[at_index(layer_.data_value())], targets.shapes[batch], positions);
  }

  /// Rows times the old weights: [groups, n, outputs].
  at::Tensor product(const at::Tensor& rows) const {
    const at::Tensor weight = bench_.graph().values[at_index(layer_.weight_value())].constant;
    return product_with_transposed(rows, layer_.matrix(weight).to(rows.scalar_type()));
  }

  at::Tensor without_bias(const at::Tensor& output, std::size_t batch) {
    const int bias = bench_.graph().nodes[at_index(layer_.node())].input(2);
    if (bias < 0) return output;
    const Lockstep::Values& values = bench_.cut().before(layer_.node(), batch);
    return output - layer_.by_group(values[at_index(bias)].view({1, -1}));
  }

  /// What the node adds to the product of its rows and weights, [groups, 1, outputs], by its outputs at some
  /// positions. Undefined if that isn't the same everywhere: then the node has a form that we didn't foresee,
  /// and stays as it is.
  at::Tensor constant_part(const at::Tensor& outputs, const LayerTargets& targets) {
    const at::Tensor some = targets.positions[0].slice(0, 0, 64);
    const at::Tensor output = layer_.by_group(layer_.flat(outputs).index_select(0, some));
    const at::Tensor made = product(rows(0, targets, some));
    const at::Tensor rest = output - made;
    const at::Tensor mean = rest.mean(1, true);
    const double spread = (rest - mean).abs().max().item<double>();
    const double size = output.abs().max().item<double>() + made.abs().max().item<double>();
    return spread <= 1e-3 * size ? mean : at::Tensor();
  }

 private:
  Bench& bench_;
  const LinearLayer& layer_;
};

/// Channels that lie on another axis than the layer's own (tokens, a batch they were folded into) may be cut
/// too: a position then is another one than in the original.
bool same_positions(at::IntArrayRef cut, at::IntArrayRef original, int channels) {
  if (cut.size() != original.size()) return false;
  for (std::size_t a = 0; a < cut.size(); ++a) {
    if (static_cast<int>(a) != channels && cut[a] != original[a]) return false;
  }
  return true;
}

}  // namespace

std::string gather_rows(Bench& bench, const FitAndCheck& data, const LinearLayer& layer,
                        const LayerTargets& targets, Moments& fit, Moments& check) {
  CutLayer cut(bench, layer);
  const int rank = static_cast<int>(targets.shapes.front().size());
  const int axis = layer.channel_axis() < 0 ? layer.channel_axis() + rank : layer.channel_axis();
  const at::Tensor kept = bench.kept(bench.graph().nodes[at_index(layer.node())].output(0), axis);
  const at::Tensor first = cut.outputs(0);
  if (!same_positions(first.sizes(), targets.shapes[0], axis))
    return "positions of its outputs are cut, which can't be told from the original's";
  const at::Tensor bias = layer.is_scale() ? at::Tensor() : cut.constant_part(first, targets);
  if (!layer.is_scale() && !bias.defined())
    return "its outputs aren't its weights times its inputs plus a bias";
  // 2^24 floats of rows at once: 64 MB.
  const std::int64_t chunk =
      std::max<std::int64_t>(256, (std::int64_t{1} << 24) / (layer.columns() * layer.groups()));
  for (std::size_t b = 0; b < data.batches(); ++b) {
    const at::Tensor own = layer.is_scale() ? layer.flat(cut.outputs(b)) : at::Tensor();
    for (std::int64_t from = 0; from < targets.positions[b].numel(); from += chunk) {
      const auto part = [&](const at::Tensor& all) { return all.slice(0, from, from + chunk); };
      const at::Tensor positions = part(targets.positions[b]);
      const at::Tensor wanted = part(targets.outputs[b]);
      const at::Tensor target = layer.by_group(kept.defined() ? wanted.index_select(1, kept) : wanted);
      at::Tensor rows, output;  // of the cut network: what is read, and what the old weights make of it
      if (layer.is_scale()) {
        output = layer.by_group(own.index_select(0, positions));
        rows = cut.without_bias(output, b);
      } else {
        rows = cut.rows(b, targets, positions);
        output = cut.product(rows) + bias;
      }
      (data.checks(b) ? check : fit).add(rows, target - output, target, part(targets.weights[b]));
    }
  }
  return {};
}

}  // namespace quboprune
