// SIDD Small and Medium: a folder a scene instance, holding NNNN_NOISY_SRGB_NNN.PNG and NNNN_GT_SRGB_NNN.PNG,
// perhaps one level further down (Data/0001_001_S6_00100_00060_3200_L/...).
#include <algorithm>
#include <vector>

#include "data/image_source.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

constexpr std::string_view noisy_mark = "NOISY_SRGB";
constexpr std::string_view clean_mark = "GT_SRGB";
constexpr int deepest = 3;  // further down there is nothing of SIDD's, and a stranger's folder can be vast

class SiddScenes : public ImageSource {
 public:
  void add(ImageItem item, fs::path input, fs::path target) {
    items_.push_back(std::move(item));
    inputs_.push_back(std::move(input));
    targets_.push_back(std::move(target));
  }
  std::string form() const override { return "SIDD scene folders"; }
  TargetKind target() const override { return TargetKind::image; }
  const std::vector<ImageItem>& items() const override { return items_; }
  ImagePair load(std::size_t item, int channels) const override {
    return read_pair(inputs_.at(item), targets_.at(item), channels);
  }

 private:
  std::vector<ImageItem> items_;
  std::vector<fs::path> inputs_, targets_;
};

std::vector<fs::path> noisy_images_below(const fs::path& source) {
  std::vector<fs::path> result;
  fs::recursive_directory_iterator walk(source, fs::directory_options::skip_permission_denied |
                                                    fs::directory_options::follow_directory_symlink);
  for (auto entry = begin(walk); entry != end(walk); ++entry) {
    if (entry.depth() >= deepest) entry.disable_recursion_pending();
    if (entry->is_regular_file() && is_image_name(entry->path()) &&
        entry->path().filename().string().front() != '.' &&
        entry->path().filename().string().find(noisy_mark) != std::string::npos)
      result.push_back(entry->path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// SIDD calls an instance <instance>_<scene>_<phone>_<ISO>_<shutter>_<illuminant>_<brightness>; ten scenes
/// were taken with many phones and settings. Any other folder is its own scene.
std::string scene_of_folder(const std::string& folder) {
  const auto first = folder.find('_');
  const auto second = first == std::string::npos ? first : folder.find('_', first + 1);
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (second == std::string::npos) return folder;
  const std::string scene = folder.substr(first + 1, second - first - 1);
  return is_number(std::string_view(folder).substr(0, first)) && is_number(scene) ? "scene " + scene : folder;
}

}  // namespace

std::unique_ptr<ImageSource> open_sidd_scenes(const fs::path& source) {
  const auto inputs = noisy_images_below(source);
  if (inputs.empty()) return nullptr;
  auto result = std::make_unique<SiddScenes>();
  for (const fs::path& input : inputs) {
    std::string partner = input.filename().string();
    partner.replace(partner.find(noisy_mark), noisy_mark.size(), clean_mark);
    const fs::path target = input.parent_path() / partner;
    if (!fs::exists(target))
      throw InputError(input.string() + ": its clean image " + partner +
                       " isn't beside it; unpack SIDD again");
    const std::string folder = fs::absolute(input).parent_path().filename().string();
    result->add({folder + "/" + input.filename().string(), scene_of_folder(folder)}, input, target);
  }
  return result;
}

}  // namespace quboprune
