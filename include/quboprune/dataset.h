#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace quboprune {

/// What an item of a data set has besides its input.
enum class TargetKind { none, image, label, tensor };

/// One sample as the network takes it: float32, values scaled as asked for (images: 0..1 by default).
struct Sample {
  at::Tensor input;   ///< [C, H, W] for images, any shape without the batch axis otherwise
  at::Tensor target;  ///< same layout; int64 scalar for labels; undefined without targets
  std::string name;   ///< file name or index: shown in reports
  std::string scene;  ///< samples of one scene never lie on both sides of a split
};

/// How a source of data is read.
struct DataOptions {
  int channels = 3;              ///< 1: converted to grey, 3: RGB, 4 as stored
  int crop = 128;                ///< square crops of this size for calibration; 0: whole images
  int crops_per_image = 0;       ///< 0: as many as `limit` asks for, spread over the images
  int limit = 64;                ///< how many samples at most; 0: all
  double value_scale = 1.0;      ///< images are read as 0..1 and multiplied by this (255 for networks in 0..255)
  std::string noise;             ///< noise model drawn on clean images ("" none); see noise.h
  std::string split = "auto";    ///< how calibration and held-out data part; see split_scenes
  std::uint64_t seed = 1;
};

/// Which part of a source is wanted. The two never share a scene.
enum class Part { calibration, heldout, all };

}  // namespace quboprune
