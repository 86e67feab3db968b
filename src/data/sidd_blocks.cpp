// SIDD's validation blocks: ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat, each one uint8
// array [images, blocks, height, width, 3] (published: 40, 32, 256, 256, 3). Version 5 and 7.3 of MATLAB's
// format.
#include <fmt/format.h>

#include <mutex>
#include <opencv2/imgproc.hpp>

#include "data/image_source.h"
#include "data/mat_array.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

constexpr const char* noisy_name = "ValidationNoisyBlocksSrgb";
constexpr const char* clean_name = "ValidationGtBlocksSrgb";

MatArray open_blocks(const fs::path& path, const char* name) {
  MatArray array(path, name);
  if (array.sizes()[4] != 3)
    throw InputError(
        fmt::format("{}: '{}' isn't an array [images, blocks, height, width, 3]", path.string(), name));
  return array;
}

/// All blocks, RGB. MATLAB lays out the first index fastest, so that a block's values lie far apart: the
/// array is walked once in its own order.
std::vector<cv::Mat> read_blocks(const fs::path& path, const char* name) {
  const MatArray array = open_blocks(path, name);
  const auto [images, blocks, height, width, channels] = array.sizes();
  const std::vector<unsigned char> values = array.values();
  const std::size_t count = static_cast<std::size_t>(images) * static_cast<std::size_t>(blocks);
  std::vector<cv::Mat> result;
  for (std::size_t i = 0; i < count; ++i) result.emplace_back(height, width, CV_8UC3);
  const unsigned char* from = values.data();
  for (int c = 0; c < channels; ++c)
    for (int x = 0; x < width; ++x)
      for (int y = 0; y < height; ++y)
        for (int block = 0; block < blocks; ++block)
          for (int image = 0; image < images; ++image) {
            const auto index = static_cast<std::size_t>(image) * static_cast<std::size_t>(blocks) +
                               static_cast<std::size_t>(block);
            result[index].ptr<unsigned char>(y)[3 * x + c] = *from++;
          }
  return result;
}

class SiddBlocks : public ImageSource {
 public:
  SiddBlocks(fs::path noisy, fs::path clean) : noisy_(std::move(noisy)), clean_(std::move(clean)) {
    const auto size = open_blocks(noisy_, noisy_name).sizes();
    if (size != open_blocks(clean_, clean_name).sizes())
      throw InputError(clean_.string() + ": its array hasn't the size of the one in " + noisy_.string());
    for (int image = 0; image < size[0]; ++image)
      for (int block = 0; block < size[1]; ++block) {
        const std::string scene = fmt::format("image {:02}", image);
        items_.push_back({fmt::format("{} block {:02}", scene, block), scene});
      }
  }
  std::string form() const override { return "SIDD validation blocks"; }
  TargetKind target() const override { return TargetKind::image; }
  const std::vector<ImageItem>& items() const override { return items_; }

  /// The first call reads both arrays and keeps them (0.5 GB for SIDD's): one block alone can't be had
  /// faster than all of them.
  ImagePair load(std::size_t item, int channels) const override {
    const std::lock_guard lock(mutex_);
    if (inputs_.empty()) {
      targets_ = read_blocks(clean_, clean_name);
      inputs_ = read_blocks(noisy_, noisy_name);
    }
    if (channels == 3) return {inputs_.at(item), targets_.at(item)};
    ImagePair grey;
    cv::cvtColor(inputs_.at(item), grey.input, cv::COLOR_RGB2GRAY);
    cv::cvtColor(targets_.at(item), grey.target, cv::COLOR_RGB2GRAY);
    return grey;
  }

 private:
  fs::path noisy_, clean_;
  std::vector<ImageItem> items_;
  mutable std::mutex mutex_;
  mutable std::vector<cv::Mat> inputs_, targets_;
};

}  // namespace

std::unique_ptr<ImageSource> open_sidd_blocks(const fs::path& source) {
  const std::string noisy_file = std::string(noisy_name) + ".mat";
  const std::string clean_file = std::string(clean_name) + ".mat";
  fs::path folder = source;
  if (!fs::is_directory(source)) {
    if (source.extension() != ".mat") return nullptr;
    if (source.filename() != noisy_file && source.filename() != clean_file)
      throw InputError(source.string() + ": of .mat files, only SIDD's " + noisy_file + " and " + clean_file +
                       " are read");
    folder = source.parent_path();
  }
  const bool noisy = fs::exists(folder / noisy_file);
  const bool clean = fs::exists(folder / clean_file);
  if (!noisy && !clean) return nullptr;
  if (!noisy || !clean)
    throw InputError((folder / (noisy ? noisy_file : clean_file)).string() + ": its partner " +
                     (noisy ? clean_file : noisy_file) + " isn't beside it");
  return std::make_unique<SiddBlocks>(folder / noisy_file, folder / clean_file);
}

}  // namespace quboprune
