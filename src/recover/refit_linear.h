#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// Where a constant offset of a layer's outputs can be put without adding a parameter.
struct BiasPlace {
  int value = -1;     ///< a constant with one entry an output; -1: there is none
  double factor = 1;  ///< the constant changes by factor x the offset
};

/// A node with constant weights, seen as out[g] = rows[g] · matrix[g]ᵀ + bias for each convolution group g.
///
/// A row is what one output position reads, channel-major: column = channel · taps + tap. Depthwise
/// convolutions are seen as a scale: their one column is their own output without the bias, the matrix is 1.
class LinearLayer {
 public:
  /// Nothing, and a reason, where the node isn't such a layer or its weights can't be changed alone.
  /// `original`: the graph before the cut, by which a convolution is depthwise or not (a grouped one that is
  /// left with one channel a group isn't).
  static std::optional<LinearLayer> of(const Graph& graph, const Graph& original, int node,
                                       std::string& why_not);

  int node() const { return node_; }
  int data_input() const { return data_; }  ///< which of the node's inputs carries data
  int data_value() const { return data_value_; }
  int weight_value() const { return weight_value_; }
  const BiasPlace& bias() const { return bias_; }
  bool is_scale() const { return kind_ == Kind::scale; }
  int taps() const;
  /// The axis of the outputs that channels lie on, from the front or (negative) from the end.
  int channel_axis() const { return convolves() ? 1 : transposed_data_ ? -2 : -1; }

  /// double [groups, outputs a group, columns]; ones for a scale.
  at::Tensor matrix(const at::Tensor& constant) const;
  /// The constant with `delta` [groups, outputs a group, columns] added to its matrix, in its own type.
  at::Tensor changed(const at::Tensor& constant, const at::Tensor& delta) const;
  /// The bias place's constant for outputs that are offset by `offset` [groups, outputs a group].
  at::Tensor changed_bias(const at::Tensor& constant, const at::Tensor& offset) const;

  /// Outputs (or anything of their shape) as [positions, channels].
  at::Tensor flat(const at::Tensor& outputs) const;
  /// [n, channels] as [groups, n, channels a group].
  at::Tensor by_group(const at::Tensor& flat) const;
  /// Rows [groups, n, columns] at some of the flat positions. `outputs`: the shape of the node's outputs for
  /// these data. Not for a scale.
  at::Tensor rows(const at::Tensor& data, at::IntArrayRef outputs, const at::Tensor& positions) const;
  std::int64_t columns() const { return columns_; }  ///< of the matrix, within a group
  std::int64_t groups() const { return groups_; }

 private:
  enum class Kind { convolution, transposed, scale, product };
  bool convolves() const { return kind_ != Kind::product; }
  bool read_convolution(const Graph& graph, const Graph& original, std::string& why_not);
  bool read_product(const Graph& graph, std::string& why_not);
  at::Tensor product_rows(const at::Tensor& data) const;
  at::Tensor window_rows(const at::Tensor& data, at::IntArrayRef outputs, const at::Tensor& positions) const;

  Node description_;
  int node_ = -1;
  Kind kind_ = Kind::convolution;
  int data_ = 0, data_value_ = -1, weight_value_ = -1;
  std::int64_t groups_ = 1, columns_ = 0;
  std::vector<std::int64_t> kernel_{};
  bool transposed_data_ = false;    ///< product: the constant stands on the left, or Gemm's data are turned
  bool transposed_weight_ = false;  ///< product: the constant is [columns, outputs]
  bool turned_data_ = false;        ///< product: the contracted axis of the data isn't the last
  double alpha_ = 1;                ///< Gemm's
  BiasPlace bias_{};
};

}  // namespace quboprune
