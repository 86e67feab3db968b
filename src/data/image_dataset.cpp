#include "data/image_dataset.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "data/cover.h"
#include "data/cut.h"
#include "data/image_cache.h"
#include "data/label_map.h"
#include "data/normalised.h"
#include "data/split.h"
#include "quboprune/error.h"
#include "quboprune/noise.h"

namespace quboprune {
namespace {

std::vector<SplitItem> split_items(const ImageSource& images) {
  std::vector<SplitItem> result;
  for (const ImageItem& item : images.items())
    result.push_back({item.name, item.scene, std::max(item.label, 0)});
  return result;
}

/// Throws Stopped if that was asked for.
void report(const Control& control, std::size_t done, std::size_t total) {
  if (control.stopped()) throw Stopped("stopped while reading the data: nothing was written");
  control.report("data", static_cast<double>(done), static_cast<double>(total),
                 std::numeric_limits<double>::quiet_NaN());
}

class ImageDataset : public Dataset {
 public:
  ImageDataset(std::unique_ptr<ImageSource> images, const std::string& source, const DataOptions& options)
      : images_(std::move(images)),
        source_(source),
        options_(options),
        items_(split_items(*images_)),
        cache_(*images_, options.channels, options.cache_bytes) {
    std::vector<std::string> notes;
    part_numbered_series(items_, notes);
    split_ = split_scenes(items_, options.split, images_->target() != TargetKind::label, source);
    split_.notes.insert(split_.notes.end(), notes.begin(), notes.end());
    split_.calibration = spread_over_scenes(split_.calibration, items_);
    split_.heldout = spread_over_scenes(split_.heldout, items_);
    for (std::size_t i = 0; i < split_.calibration.size(); ++i)
      choices_.push_back(split_.calibration[i].item);
    if (!options.noise.empty()) noise_.emplace(options.noise);
    if (options.smaller_crops && !labelled() && options.height == 0 && options.width == 0) shrink_crops();
  }

  std::vector<Sample> samples(Part part, const Control& control) const override;
  Sample random_crop(Rng& rng, int crop, bool augment) const override;
  TargetKind target_kind() const override { return images_->target(); }
  int crop() const override { return labelled() ? 0 : options_.crop; }
  Manifest manifest() const override;
  std::vector<std::string> notes() const override;

 private:
  bool labelled() const { return images_->target() == TargetKind::label; }
  double max_downscale() const { return noise_ ? options_.max_downscale : 1.0; }
  /// As asked for, but for what the network takes one of only.
  cv::Size sized(int length) const {
    return {options_.width > 0 ? options_.width : length, options_.height > 0 ? options_.height : length};
  }
  /// Whether images are passed on as they are, but for their size_multiple.
  bool uncut(int crop) const { return sized(crop).empty(); }
  std::vector<Sample> whole_images(const std::vector<Piece>& pieces, int largest, int limit,
                                   const Control& control) const;
  std::vector<Sample> covering_crops(const Control& control) const;
  /// Sample of what `cut` takes from the image, noise drawn by `rng`.
  Sample sample(std::size_t item, const ImagePair& pair, const Cut& cut, unsigned turn, Rng& rng) const;
  /// What is taken of a class image: all of it, or what is brought to the network's size.
  Cut class_cut(const cv::Rect& region) const;
  /// Side of the largest square in any of the pieces, `enough` at most.
  int largest_square(const std::vector<Piece>& pieces, int enough) const;
  void shrink_crops();
  void leave_out(std::size_t item) const;
  /// Appends a sample that says something; counts the others.
  void add(Sample sample, std::vector<Sample>& to) const;
  /// Says why nothing was left: no label counts, or no image is as large as `needed`, which an option
  /// says.
  [[noreturn]] void refuse_all(const std::vector<Piece>& pieces, cv::Size needed,
                               const std::string& option) const;

  std::unique_ptr<ImageSource> images_;
  std::string source_;
  DataOptions options_;
  std::vector<SplitItem> items_;
  ImageCache cache_;
  Split split_;
  std::vector<std::size_t> choices_;  ///< the item of each calibration piece, for ImageCache::choose
  std::optional<NoiseModel> noise_;
  mutable std::mutex left_out_mutex_;
  mutable std::set<std::string> left_out_;     ///< images smaller than a crop
  mutable std::atomic<bool> resized_ = false;  ///< a class image was
  mutable std::atomic<bool> cropped_ = false;
  int too_large_ = 0;                    ///< the crop asked for, where another came in its place
  mutable std::atomic<int> untold_ = 0;  ///< pieces without a label that counts
};

Sample ImageDataset::sample(std::size_t item, const ImagePair& pair, const Cut& cut, unsigned turn,
                            Rng& rng) const {
  Sample result;
  result.name = items_[item].name;
  result.scene = items_[item].scene;
  const auto part = [&](const cv::Mat& image) { return to_tensor(turned(take(image, cut), turn)); };
  const bool map = images_->target() == TargetKind::label_map;
  if (!pair.target.empty() && !map) result.target = part(pair.target);
  result.input = noise_ ? noise_->draw(result.target, rng) : part(pair.input);
  if (options_.value_scale != 1.0) {
    result.input.mul_(options_.value_scale);
    if (result.target.defined()) result.target.mul_(options_.value_scale);
  }
  const auto lay = [](at::Tensor& image, bool last) {
    if (last && image.defined()) image = image.permute({1, 2, 0}).contiguous();
  };
  lay(result.input, options_.inputs_channels_last);
  lay(result.target, options_.targets_channels_last);
  if (!options_.mean.empty()) result.input = normalised(result.input, options_);
  if (labelled()) result.target = at::scalar_tensor(images_->items()[item].label, at::kLong);
  if (map) result.target = to_labels(turned(pair.target(cut.from), turn));
  return result;
}

Cut ImageDataset::class_cut(const cv::Rect& region) const {
  constexpr double kMiddle = 7.0 / 8;
  const cv::Size size = sized(0);
  if (size.empty() || size == region.size()) return {region, region.size()};
  resized_ = true;
  return middle_cut(region, size, size, kMiddle * room_for(region, size));
}

int ImageDataset::largest_square(const std::vector<Piece>& pieces, int enough) const {
  int largest = 0;
  for (const Piece& piece : pieces) {
    if (largest >= enough) break;
    const cv::Rect region = region_of(cache_.get(piece.item)->any().size(), piece);
    largest = std::max(largest, std::min(region.width, region.height));
  }
  return std::min(largest, enough);
}

/// To what the largest image holds, unless that is less than one multiple.
void ImageDataset::shrink_crops() {
  const int fitting = largest_square(split_.calibration, options_.crop);
  const int crop = fitting - fitting % options_.size_multiple;
  if (fitting == options_.crop || crop == 0) return;
  too_large_ = std::exchange(options_.crop, crop);
}

void ImageDataset::leave_out(std::size_t item) const {
  const std::lock_guard lock(left_out_mutex_);
  left_out_.insert(items_[item].name);
}

void ImageDataset::add(Sample sample, std::vector<Sample>& to) const {
  if (tells(sample, images_->target()))
    to.push_back(std::move(sample));
  else
    ++untold_;
}

void ImageDataset::refuse_all(const std::vector<Piece>& pieces, cv::Size needed,
                              const std::string& option) const {
  if (untold_ > 0)
    throw InputError(source_ +
                     ": the masks have no label that counts where they are cut (255 doesn't); give "
                     "larger crops (--crop, --heldout-crop), or other masks");
  const int largest = largest_square(pieces, std::numeric_limits<int>::max());
  const bool parts = std::ranges::any_of(pieces, [](const Piece& p) { return p.begin > 0 || p.end < 1; });
  const bool fixed = options_.height > 0 || options_.width > 0;
  throw InputError(fmt::format(
      "{}: no {} as large as {}x{}; {}", source_,
      parts ? "end of an image, which one scene is split into (--split FILE or all), is" : "image is",
      needed.height, needed.width,
      fixed ? "the network takes no other size: give larger images"
            : fmt::format("give a smaller {}, of {} at most{}", option, largest,
                          parts ? ", or a larger part (--split)" : "")));
}

std::vector<Sample> ImageDataset::whole_images(const std::vector<Piece>& pieces, int largest, int limit,
                                               const Control& control) const {
  std::vector<Sample> result;
  cv::Size first;
  for (const Piece& piece : pieces) {
    if (limit > 0 && static_cast<int>(result.size()) >= limit) break;
    report(control, result.size(), limit > 0 ? static_cast<std::size_t>(limit) : pieces.size());
    const auto pair = cache_.get(piece.item);
    // The name alone decides on scale and noise: held-out data must not move with the seed.
    Rng rng(stable_hash(items_[piece.item].name));
    const cv::Rect region = region_of(pair->any().size(), piece);
    Cut cut{region, region.size()};
    if (labelled()) {
      cut = class_cut(region);
      if (result.empty()) first = cut.to;
      if (cut.to != first)
        throw InputError(source_ + "/" + items_[piece.item].name + ": is " + std::to_string(cut.to.width) +
                         "x" + std::to_string(cut.to.height) + ", others are " + std::to_string(first.width) +
                         "x" + std::to_string(first.height) +
                         "; class images need one size, unless the network has one");
    } else {
      const double room = room_for(region, sized(std::max(1, largest)));
      const double scale = std::exp(rng.uniform() * std::log(std::clamp(room, 1.0, max_downscale())));
      cut = middle_cut(region, sized(largest), sized(options_.size_multiple), scale);
    }
    if (cut.to.empty())
      leave_out(piece.item);
    else
      add(sample(piece.item, *pair, cut, 0, rng), result);
  }
  if (result.empty()) refuse_all(pieces, sized(options_.size_multiple), "--size-multiple");
  return result;
}

std::vector<Sample> ImageDataset::covering_crops(const Control& control) const {
  const std::vector<Piece>& pieces = split_.calibration;
  const std::size_t wanted = options_.limit > 0 ? static_cast<std::size_t>(options_.limit) : pieces.size();
  std::vector<std::vector<Sample>> of_piece(pieces.size());
  std::vector<std::size_t> usable;
  const cv::Size crop = sized(options_.crop);
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const auto pair = cache_.get(pieces[p].item);
    if (fits(region_of(pair->any().size(), pieces[p]), crop))
      usable.push_back(p);
    else
      leave_out(pieces[p].item);
    report(control, usable.size(), wanted);
    if (usable.size() == wanted) break;
  }
  if (usable.empty()) refuse_all(pieces, crop, "--crop");
  cropped_ = true;
  Cover cover;
  for (std::size_t u = 0; u < usable.size(); ++u) {
    const Piece& piece = pieces[usable[u]];
    const std::size_t count = wanted / usable.size() + (u < wanted % usable.size() ? 1 : 0);
    const auto pair = cache_.get(piece.item);
    Rng rng(stable_hash(items_[piece.item].name) ^ options_.seed);
    const cv::Rect region = region_of(pair->any().size(), piece);
    const auto next = [&] { report(control, cover.size(), wanted); };
    for (const Cut& cut : cover.choose(pair->any(), region, crop, max_downscale(), count, rng, next)) {
      report(control, cover.size(), wanted);
      add(sample(piece.item, *pair, cut, 0, rng), of_piece[usable[u]]);
    }
  }
  std::vector<Sample> result;  // one of each image, then the second of each: any beginning is spread out too
  for (std::size_t round = 0; round < wanted; ++round)
    for (const std::size_t p : usable)
      if (round < of_piece[p].size()) result.push_back(std::move(of_piece[p][round]));
  if (result.empty()) refuse_all(pieces, crop, "--crop");
  return result;
}

std::vector<Sample> ImageDataset::samples(Part part, const Control& control) const {
  if (part == Part::heldout)
    return whole_images(split_.heldout, options_.heldout_crop, options_.heldout_limit, control);
  if (part == Part::all) {
    std::vector<Piece> everything;
    for (std::size_t i = 0; i < items_.size(); ++i) everything.push_back({i});
    return whole_images(spread_over_scenes(everything, items_), options_.heldout_crop, 0, control);
  }
  if (labelled() || uncut(options_.crop)) return whole_images(split_.calibration, 0, options_.limit, control);
  return covering_crops(control);
}

Sample ImageDataset::random_crop(Rng& rng, int crop, bool augment) const {
  const cv::Size size = sized(crop);
  const bool whole = labelled() || uncut(crop);  // a part of a class image may not show what it is
  const bool turns = !labelled() && size.width == size.height;  // a quarter turn exchanges the two
  const auto flips = !augment ? 1U : turns ? 8U : labelled() ? 2U : 4U;
  // Images that turn out too small for a crop are passed over.
  for (int tries = 0; tries < 1000; ++tries) {
    const Piece& piece = split_.calibration[cache_.choose(choices_, rng)];
    const auto pair = cache_.get(piece.item);
    const cv::Rect region = region_of(pair->any().size(), piece);
    if (!whole && !fits(region, size)) {
      leave_out(piece.item);
      continue;
    }
    const Cut cut = labelled() ? class_cut(region)
                    : whole    ? middle_cut(region, size, sized(options_.size_multiple), 1.0)
                               : random_cut(region, size, max_downscale(), rng);
    if (cut.to.empty()) continue;
    if (!whole) cropped_ = true;
    Sample drawn = sample(piece.item, *pair, cut, rng.below(flips), rng);
    if (tells(drawn, images_->target())) return drawn;
    ++untold_;
  }
  refuse_all(split_.calibration, sized(std::max(crop, options_.size_multiple)), "--crop");
}

Manifest ImageDataset::manifest() const {
  Manifest result{source_, images_->form(), options_.noise, images_->target(), {}, {}, {}, {}};
  const auto list = [&](const std::vector<Piece>& pieces, std::vector<std::string>& names,
                        std::vector<std::string>& scenes) {
    std::set<std::string> sorted;
    for (const Piece& piece : pieces) {
      names.push_back(items_[piece.item].name);
      sorted.insert(items_[piece.item].scene);
    }
    scenes.assign(sorted.begin(), sorted.end());
  };
  list(split_.calibration, result.calibration, result.calibration_scenes);
  list(split_.heldout, result.heldout, result.heldout_scenes);
  result.apart = split_.apart;
  return result;
}

std::vector<std::string> ImageDataset::notes() const {
  std::vector<std::string> result = split_.notes;
  if (cropped_ && too_large_ > 0)
    result.push_back(
        fmt::format("no image is as large as {0}x{0}: crops are {1}x{1}", too_large_, options_.crop));
  if (resized_)
    result.push_back(fmt::format("class images are brought to {}x{}: the middle seven eighths of each",
                                 options_.height, options_.width));
  if (untold_ > 0)
    result.push_back(
        fmt::format("{} pieces of images have no label that counts and were left out", untold_.load()));
  const std::lock_guard lock(left_out_mutex_);
  if (!left_out_.empty())
    result.push_back(std::to_string(left_out_.size()) + " of " + std::to_string(items_.size()) +
                     " images are too small for the crops asked for and were left out: " +
                     *left_out_.begin() + (left_out_.size() > 1 ? ", ..." : ""));
  return result;
}

}  // namespace

std::unique_ptr<Dataset> make_image_dataset(std::unique_ptr<ImageSource> images, const std::string& source,
                                            const DataOptions& options) {
  return std::make_unique<ImageDataset>(std::move(images), source, options);
}

}  // namespace quboprune
