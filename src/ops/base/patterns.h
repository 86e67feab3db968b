#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/base/coupling.h"
#include "ops/base/operator.h"
#include "ops/base/slicing.h"

namespace quboprune {

// Ways of coupling that several operators share.

/// Output 0 has input 0's shape, index for index: activations, normalisation by channel, casts.
void couple_same(const Node& node, Coupling& coupling);

/// Elementwise over the given inputs with NumPy's broadcasting, into output 0.
void couple_broadcast(const Node& node, const std::vector<std::size_t>& inputs, Coupling& coupling);

/// The output holds the input's values in the same (row-major) order under another shape. One labelled axis
/// of each block of merged or split axes keeps its labels; a second one is frozen. Where an axis is split,
/// the part that leaves most to choose from carries the labels, and indices equal there are tied.
void couple_reshape(int from, int to, Coupling& coupling);

/// Axis 0 passes as it is, axis 1 (channels) too, those after it are spatial: labels there are frozen.
void couple_channels(const Node& node, Coupling& coupling);

/// Output 0 has input 0's shape; labels on axes [first, end) are frozen, all are passed on.
void couple_outside(const Node& node, int first, int end, Coupling& coupling, const char* why);

/// The mean over these axes, which are kept with size 1, weighted by RunMode::mean_weights.
at::Tensor mean_over(const at::Tensor& x, const std::vector<std::int64_t>& axes, const RunMode& mode);

/// Ties the labels of each of `count` equal runs of an axis; the one label of each, or none for a plain axis.
Labels tie_runs(const Labels& labels, std::size_t count, Coupling& coupling);

/// Freezes what is labelled on axes from `first` on.
void freeze_from(int value, int first, Coupling& coupling, const char* why);

/// A list of integers that came as an input or, in older opsets, as an attribute.
std::optional<std::vector<std::int64_t>> integers_of(const Node& node, const std::vector<at::Tensor>& inputs,
                                                     std::size_t k, const char* attribute);
/// The same from what the probe knows; nothing if the input isn't known.
std::optional<std::vector<std::int64_t>> known_integers(const Node& node, const Coupling& coupling,
                                                        std::size_t k, const char* attribute);
std::vector<std::int64_t> to_integers(const at::Tensor& tensor);
at::Tensor integer_tensor(const std::vector<std::int64_t>& values);

/// -1 etc. counted from the end. Throws InputError if outside.
std::int64_t positive_axis(std::int64_t axis, std::int64_t rank, const Node& node);
/// The same of indices of an axis of this size, as int64.
at::Tensor positive_indices(const Node& node, const at::Tensor& indices, std::int64_t size);

/// Throws InputError for a shape that no real network has: a negative size, or above 2^31 elements. Damaged
/// files ask for such.
void require_usable(const Node& node, const std::vector<std::int64_t>& shape);

}  // namespace quboprune
