// Recognises the form of a source. To add one: a factory in image_source.h, and its line below.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/image_dataset.h"
#include "data/image_source.h"
#include "data/tensor_dataset.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

void check_options(const DataOptions& options) {
  if (options.channels != 1 && options.channels != 3)
    throw InputError("images are read with 1 or 3 channels, not " + std::to_string(options.channels));
  if (options.crop < 0 || options.heldout_crop < 0 || options.limit < 0 || options.heldout_limit < 0)
    throw InputError("sizes and numbers of samples can't be negative");
  if (options.height < 0 || options.width < 0)
    throw InputError("a network's height and width can't be negative; 0 stands for any");
  if (options.mean.size() != options.deviation.size())
    throw InputError("--mean and --std belong together, with as many numbers each: one a channel");
  if (std::ranges::any_of(options.deviation, [](double d) { return !(d > 0) || !std::isfinite(d); }) ||
      std::ranges::any_of(options.mean, [](double m) { return !std::isfinite(m); }))
    throw InputError("--mean and --std: give finite numbers, deviations above 0");
  if (options.size_multiple < 1) throw InputError("the multiple for image sizes has to be 1 or more");
  if (!(options.max_downscale >= 1) || !std::isfinite(options.max_downscale))
    throw InputError("the largest reduction of clean images has to be 1 or more");
  if (!(options.value_scale > 0) || !std::isfinite(options.value_scale))
    throw InputError("the scale of values has to be above 0");
}

std::unique_ptr<ImageSource> recognise(const fs::path& source, bool clean) {
  if (auto found = open_sidd_blocks(source)) return found;
  if (!fs::is_directory(source)) return nullptr;
  if (auto found = open_paired_folders(source)) return found;
  if (auto found = open_masks(source)) return found;
  if (auto found = open_sidd_scenes(source)) return found;
  if (auto found = open_image_folder(source, clean)) return found;
  return open_class_folders(source);
}

[[noreturn]] void refuse_noise(const std::string& source, const std::string& form) {
  throw InputError(source + ": has inputs of its own (" + form +
                   "), so no noise is drawn; leave --noise away or give a folder of clean images");
}

std::unique_ptr<Dataset> open_existing(const std::string& source, const DataOptions& options) {
  if (!fs::exists(source)) throw InputError(source + ": no such file or folder");
  const bool draws_noise = !options.noise.empty();
  if (auto tensors = open_tensor_dataset(source, options)) {
    if (draws_noise) refuse_noise(source, tensors->manifest().form);
    return tensors;
  }
  auto images = recognise(source, draws_noise);
  if (!images)
    throw InputError(source +
                     ": no known form of data; give a folder with noisy/ and clean/ or images/ and masks/, "
                     "of SIDD, of images or of class folders, or a .npz file");
  if (draws_noise && images->form() != "clean images with drawn noise") refuse_noise(source, images->form());
  return make_image_dataset(std::move(images), source, options);
}

}  // namespace

std::vector<std::string> scene_of_each(std::span<const Sample> samples) {
  std::vector<std::string> result;
  for (const Sample& sample : samples) result.push_back(sample.scene);
  return result;
}

std::unique_ptr<Dataset> open_dataset(const std::string& source, const DataOptions& options) {
  check_options(options);
  try {
    return open_existing(source, options);
  } catch (const fs::filesystem_error& error) {
    throw InputError(error.path1().string() + ": " + error.code().message() + "; check its rights and links");
  }
}

}  // namespace quboprune
