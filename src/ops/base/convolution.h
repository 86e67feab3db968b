#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/base/coupling.h"
#include "ops/base/slicing.h"
#include "quboprune/graph.h"

namespace quboprune {

/// The attributes that convolutions and pools share, with defaults filled in.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, begin, end;  ///< per spatial axis

  bool symmetric() const { return begin == end; }
  /// As LibTorch's pooling wants it; the ends aren't looked at.
  bool pads_at_most_half() const {
    return std::equal(begin.begin(), begin.end(), kernel.begin(), [](auto p, auto k) { return 2 * p <= k; });
  }
};

/// From a node's attributes, for an input of this shape. auto_pad is resolved into begin and end.
/// Throws InputError if lengths don't fit or a value is out of range.
Window window_of(const Node& node, at::IntArrayRef input, std::vector<std::int64_t> kernel);

/// The same of a pooling node, with what ceil_mode adds at the ends.
Window pool_window_of(const Node& node, at::IntArrayRef input);

/// An input that holds its padding, and the window that slides over it: one without any.
struct Padded {
  at::Tensor input;
  Window window;
};

/// The input padded as the window asks for, where LibTorch's own (symmetric) padding can't.
Padded with_pads(const at::Tensor& input, const Window& window, double value);

/// Elements added at the end of each axis so that the last window of ceil_mode is whole.
std::vector<std::int64_t> ceil_extra(const Window& window, at::IntArrayRef input);

/// All windows of an input that is padded already: [N, C, out..., kernel...], a view.
at::Tensor windows(const at::Tensor& input, const Window& window);

// Convolutions with the kernel [out, in / group, ...] as input 1.

/// The channels of a grouped convolution.
struct Grouping {
  std::int64_t groups = 1, in = 1, out = 1;  ///< how many groups; channels of each

  /// Whether whole groups go, or else the same channels of each: what leaves more to choose from, unless
  /// nothing can go that way.
  bool loses_whole_groups(const Coupling& coupling) const;
  /// Ties each group's inputs to one another and to its outputs (labels of each).
  void tie_whole(const Labels& inputs, const Labels& outputs, Coupling& coupling) const;
};

/// `bias`: the place of the bias among the inputs.
void couple_convolution(const Node& node, std::size_t bias, Coupling& coupling);
void slice_convolution(const Node& node, Slicing& slicing);
void cost_convolution(const Node& node, Coupling& coupling);
/// Ties the labels of each of `groups` equal runs to those of the first: runs lose the same.
void tie_across(Coupling& coupling, const Labels& labels, std::int64_t groups);

/// The largest element, or the sum, of each window of an input that is padded already.
at::Tensor over_windows(const at::Tensor& input, const Window& window, bool maximum);

}  // namespace quboprune
