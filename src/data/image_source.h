#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "quboprune/dataset.h"

namespace quboprune {

/// One image (with its target) of a source, before anything is decoded.
struct ImageItem {
  std::string name;   ///< unique in its source
  std::string scene;  ///< see scene_of
  int label = -1;     ///< class folders only
};

/// A recognised form of image data: lists its items, decodes one when asked.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual std::string form() const = 0;
  virtual TargetKind target() const = 0;
  virtual const std::vector<ImageItem>& items() const = 0;
  /// Safe from several threads. Throws InputError if the images can't be read or don't fit together.
  virtual ImagePair load(std::size_t item, int channels) const = 0;
};

/// The factories return nothing where the source doesn't have their form, and throw InputError where it
/// has the form and is broken.
std::unique_ptr<ImageSource> open_paired_folders(const std::filesystem::path& source);
std::unique_ptr<ImageSource> open_sidd_scenes(const std::filesystem::path& source);
std::unique_ptr<ImageSource> open_sidd_blocks(const std::filesystem::path& source);
std::unique_ptr<ImageSource> open_masks(const std::filesystem::path& source);
std::unique_ptr<ImageSource> open_class_folders(const std::filesystem::path& source);
/// clean: the images are targets, and noise is drawn on them; otherwise they are inputs without targets.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& source, bool clean);

/// The images directly in a folder, sorted by name.
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder);

/// Reads both images of a pair; throws InputError if their sizes differ.
ImagePair read_pair(const std::filesystem::path& input, const std::filesystem::path& target, int channels);

}  // namespace quboprune
