#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>

#include "quboprune/dataset.h"

namespace quboprune {

/// A data set over arrays whose first axis counts the samples: a .npz file with `inputs` and perhaps
/// `targets`, a .npy file of inputs, or a folder with inputs.npy and perhaps targets.npy. Nothing if
/// `source` is none of these.
///
/// Bytes (uint8) are taken as images: 0..1, times value_scale, inputs normalised; other values as they are.
/// Targets: whole numbers, one a sample or [n, H, W] for inputs [n, C, H, W], are labels; arrays of the
/// inputs' rank 4 with 1 or 3 channels are images; anything else a tensor. Throws InputError, naming the
/// file, if the arrays don't fit together.
std::unique_ptr<Dataset> open_tensor_dataset(const std::filesystem::path& source, const DataOptions& options);

}  // namespace quboprune
