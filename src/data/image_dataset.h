#pragma once

#include <memory>
#include <string>

#include "data/image_source.h"
#include "quboprune/dataset.h"

namespace quboprune {

/// A data set over any image source. `source` is what the user gave, for messages.
std::unique_ptr<Dataset> make_image_dataset(std::unique_ptr<ImageSource> images, const std::string& source,
                                            const DataOptions& options);

}  // namespace quboprune
