#include "data/normalised.h"

#include <ATen/ATen.h>

#include <string>

#include "quboprune/error.h"

namespace quboprune {

at::Tensor normalised(const at::Tensor& image, const DataOptions& options) {
  const int axis = options.inputs_channels_last ? 2 : 0;
  const auto channels = static_cast<std::int64_t>(options.mean.size());
  if (image.dim() != 3 || image.size(axis) != channels)
    throw InputError("--mean and --std name " + std::to_string(channels) +
                     " channels; the data's images are " + at::str(image.sizes()) + ": give one a channel");
  const auto by_channel = [&](const std::vector<double>& values) {
    const at::Tensor row = at::tensor(values, at::kDouble).to(at::kFloat);
    return axis == 0 ? row.view({channels, 1, 1}) : row;
  };
  return (image - by_channel(options.mean)) / by_channel(options.deviation);
}

}  // namespace quboprune
