// Folders of images: noisy/ + clean/, images/ + masks/, one folder a class, or images alone.
#include <algorithm>
#include <map>
#include <opencv2/core.hpp>

#include "core/text.h"
#include "data/image_source.h"
#include "data/split.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

std::string size_of(const cv::Mat& image) {
  return std::to_string(image.cols) + "x" + std::to_string(image.rows);
}

struct Files {
  fs::path input, target;
};

void check_sizes(const ImagePair& pair, const fs::path& input, const fs::path& target) {
  if (pair.input.size() != pair.target.size())
    throw InputError(input.string() + ": is " + size_of(pair.input) + ", but its target " + target.string() +
                     " is " + size_of(pair.target) +
                     "; the two images of a pair need the same size; what enlarges takes arrays (.npz)");
}

/// Images and their maps of labels.
class MaskSource : public ImageSource {
 public:
  explicit MaskSource(std::vector<ImageItem> items, std::vector<Files> files)
      : items_(std::move(items)), files_(std::move(files)) {
    // The first that hold any but 0 tell for all.
    Tones seen;
    int looked = 0;
    for (std::size_t k = 0; k < files_.size() && looked < 16 && !seen.others; ++k) {
      const Tones tones = tones_of(to_labels(read_labels(files_[k].target)));
      seen = {seen.black || tones.black, seen.white || tones.white, tones.others};
      looked += tones.white || tones.others ? 1 : 0;
    }
    two_classes_ = seen.two_classes();
  }
  std::string form() const override { return "images and masks"; }
  TargetKind target() const override { return TargetKind::label_map; }
  const std::vector<ImageItem>& items() const override { return items_; }
  ImagePair load(std::size_t item, int channels) const override {
    const auto& [input, target] = files_.at(item);
    ImagePair pair{read_image(input, channels), read_labels(target)};
    check_sizes(pair, input, target);
    if (!two_classes_) return pair;
    if (tones_of(to_labels(pair.target)).others)
      throw InputError(target.string() +
                       ": holds other values than 0 and 255, which the first masks hold alone; "
                       "give all masks class numbers (0, 1, ...)");
    pair.target = pair.target / 255;
    return pair;
  }

 private:
  std::vector<ImageItem> items_;
  std::vector<Files> files_;
  bool two_classes_ = false;
};

/// Any of the folder forms: where to find each item's images. An empty path: there is none.
class FolderSource : public ImageSource {
 public:
  FolderSource(std::string form, TargetKind target) : form_(std::move(form)), target_(target) {}

  void add(ImageItem item, fs::path input, fs::path target) {
    items_.push_back(std::move(item));
    files_.push_back({std::move(input), std::move(target)});
  }
  std::string form() const override { return form_; }
  TargetKind target() const override { return target_; }
  const std::vector<ImageItem>& items() const override { return items_; }
  ImagePair load(std::size_t item, int channels) const override {
    const auto& [input, target] = files_.at(item);
    if (!input.empty() && !target.empty()) return read_pair(input, target, channels);
    if (input.empty()) return {{}, read_image(target, channels)};
    return {read_image(input, channels), {}};
  }

 private:
  std::string form_;
  TargetKind target_;
  std::vector<ImageItem> items_;
  std::vector<Files> files_;
};

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string().front() != '.')
      result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  return result;
}

/// The folder of that name, in capitals or not.
fs::path folder_called(const fs::path& source, const std::string& name) {
  for (const fs::path& folder : folders_in(source)) {
    if (lowered(folder.filename().string()) == name) return folder;
  }
  return source / name;
}

}  // namespace

std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && is_image_name(entry.path()) &&
        entry.path().filename().string().front() != '.')
      result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  return result;
}

ImagePair read_pair(const fs::path& input, const fs::path& target, int channels) {
  ImagePair pair{read_image(input, channels), read_image(target, channels)};
  check_sizes(pair, input, target);
  return pair;
}

std::unique_ptr<ImageSource> open_paired_folders(const fs::path& source) {
  const fs::path noisy = folder_called(source, "noisy");
  const fs::path clean = folder_called(source, "clean");
  if (!fs::is_directory(noisy) && !fs::is_directory(clean)) return nullptr;
  if (!fs::is_directory(noisy)) throw InputError(source.string() + ": has clean/ but no noisy/ beside it");
  if (!fs::is_directory(clean)) throw InputError(source.string() + ": has noisy/ but no clean/ beside it");
  const auto inputs = images_in(noisy);
  if (inputs.empty()) throw InputError(noisy.string() + ": holds no images");
  auto result = std::make_unique<FolderSource>("paired folders", TargetKind::image);
  for (const fs::path& input : inputs) {
    const fs::path target = clean / input.filename();
    if (!fs::exists(target))
      throw InputError(input.string() + ": has no partner " + target.string() +
                       "; pairs need the same file name");
    const std::string name = input.filename().string();
    result->add({name, scene_of(name)}, input, target);
  }
  for (const fs::path& target : images_in(clean))
    if (!fs::exists(noisy / target.filename()))
      throw InputError(target.string() + ": has no partner " + (noisy / target.filename()).string() +
                       "; pairs need the same file name");
  return result;
}

std::unique_ptr<ImageSource> open_masks(const fs::path& source) {
  const fs::path images = folder_called(source, "images");
  const fs::path masks = folder_called(source, "masks");
  if (!fs::is_directory(images) || !fs::is_directory(masks)) return nullptr;
  std::map<std::string, fs::path> mask_of, image_of;
  for (const auto& [found, files] :
       {std::pair{&mask_of, images_in(masks)}, std::pair{&image_of, images_in(images)}}) {
    for (const fs::path& file : files) {
      const auto [other, first] = found->emplace(file.stem().string(), file);
      if (!first)
        throw InputError(file.string() + ": has the name of " + other->second.string() +
                         " but for the ending; an image needs one mask, of its name");
    }
  }
  std::vector<ImageItem> items;
  std::vector<Files> files;
  for (const auto& [stem, image] : image_of) {
    const auto mask = mask_of.find(stem);
    if (mask == mask_of.end())
      throw InputError(image.string() + ": has no mask in " + masks.string() +
                       "; masks need the image's name, but for the ending");
    const std::string name = image.filename().string();
    items.push_back({name, scene_of(name)});
    files.push_back({image, mask->second});
  }
  if (items.empty()) throw InputError(images.string() + ": holds no images");
  for (const auto& [stem, mask] : mask_of) {
    if (!image_of.contains(stem))
      throw InputError(mask.string() + ": has no image in " + images.string() +
                       "; masks need the image's name, but for the ending");
  }
  return std::make_unique<MaskSource>(std::move(items), std::move(files));
}

std::unique_ptr<ImageSource> open_class_folders(const fs::path& source) {
  if (!images_in(source).empty()) return nullptr;
  const auto folders = folders_in(source);
  if (folders.empty()) return nullptr;
  auto result = std::make_unique<FolderSource>("class folders", TargetKind::label);
  for (std::size_t label = 0; label < folders.size(); ++label) {
    const auto images = images_in(folders[label]);
    if (images.empty())
      throw InputError(folders[label].string() +
                       (folders_in(folders[label]).empty()
                            ? ": holds no images; class folders need some in each"
                            : ": holds folders, no images: if these are the classes, give it itself"));
    for (const fs::path& image : images) {
      const std::string name = folders[label].filename().string() + "/" + image.filename().string();
      result->add({name, name, static_cast<int>(label)}, image, {});  // each image is its own scene
    }
  }
  return result;
}

std::unique_ptr<ImageSource> open_image_folder(const fs::path& source, bool clean) {
  const auto images = images_in(source);
  if (images.empty()) return nullptr;
  auto result =
      std::make_unique<FolderSource>(clean ? "clean images with drawn noise" : "images without targets",
                                     clean ? TargetKind::image : TargetKind::none);
  for (const fs::path& image : images) {
    const std::string name = image.filename().string();
    result->add({name, scene_of(name)}, clean ? fs::path{} : image, clean ? image : fs::path{});
  }
  return result;
}

}  // namespace quboprune
