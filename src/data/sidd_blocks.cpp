// SIDD's validation blocks: ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat, each one uint8
// array [images, blocks, height, width, 3] (published: 40, 32, 256, 256, 3). Version 5 and 7.3 of MATLAB's
// format.
#include <fmt/format.h>
#include <matio.h>

#include <array>
#include <mutex>
#include <opencv2/imgproc.hpp>

#include "data/image_source.h"
#include "data/mat_check.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

constexpr const char* noisy_name = "ValidationNoisyBlocksSrgb";
constexpr const char* clean_name = "ValidationGtBlocksSrgb";

struct MatCloser {
  void operator()(mat_t* file) const { Mat_Close(file); }
};
struct VariableFreer {
  void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};
using MatFile = std::unique_ptr<mat_t, MatCloser>;
using Variable = std::unique_ptr<matvar_t, VariableFreer>;
using Dimensions = std::array<int, 5>;

MatFile open_mat(const fs::path& path) {
  check_mat_is_whole(path);
  MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  if (!file) throw InputError(path.string() + ": can't be read as a MATLAB file; is it whole?");
  return file;
}

Dimensions check_variable(const matvar_t* variable, const fs::path& path, const char* name) {
  if (variable == nullptr) throw InputError(path.string() + ": has no variable '" + name + "'");
  if (variable->class_type != MAT_C_UINT8 || variable->rank != 5 || variable->dims[4] != 3)
    throw InputError(path.string() + ": '" + name +
                     "' isn't a uint8 array [images, blocks, height, width, 3]");
  Dimensions result{};
  for (std::size_t i = 0; i < 5; ++i) {
    if (variable->dims[i] == 0 || variable->dims[i] > 1U << 20U)
      throw InputError(path.string() + ": '" + name + "' has an impossible size");
    result[i] = static_cast<int>(variable->dims[i]);
  }
  return result;
}

Dimensions read_dimensions(const fs::path& path, const char* name) {
  const MatFile file = open_mat(path);
  const Variable variable(Mat_VarReadInfo(file.get(), name));
  return check_variable(variable.get(), path, name);
}

/// All blocks, RGB. MATLAB lays out the first index fastest, so that a block's values lie far apart: the
/// array is walked once in its own order.
std::vector<cv::Mat> read_blocks(const fs::path& path, const char* name) {
  const MatFile file = open_mat(path);
  const Variable variable(Mat_VarRead(file.get(), name));
  const auto [images, blocks, height, width, channels] = check_variable(variable.get(), path, name);
  const std::size_t count = static_cast<std::size_t>(images) * static_cast<std::size_t>(blocks);
  const std::size_t values = count * static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3;
  if (variable->data == nullptr || variable->nbytes < values)
    throw InputError(path.string() + ": '" + name + "' can't be read; is the file whole?");
  std::vector<cv::Mat> result;
  for (std::size_t i = 0; i < count; ++i) result.emplace_back(height, width, CV_8UC3);
  const auto* from = static_cast<const unsigned char*>(variable->data);
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
    const Dimensions size = read_dimensions(noisy_, noisy_name);
    if (size != read_dimensions(clean_, clean_name))
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
