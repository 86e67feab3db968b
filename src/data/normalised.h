#pragma once

#include <ATen/core/Tensor.h>

#include "quboprune/dataset.h"

namespace quboprune {

/// An image, laid out as DataOptions says of inputs, less DataOptions::mean, over its deviation. Throws
/// InputError where there is another number of channels.
at::Tensor normalised(const at::Tensor& image, const DataOptions& options);

}  // namespace quboprune
