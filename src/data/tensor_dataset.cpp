#include "data/tensor_dataset.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "core/text.h"
#include "data/image.h"
#include "data/image_layout.h"
#include "data/label_map.h"
#include "data/normalised.h"
#include "data/npy.h"
#include "data/split.h"
#include "quboprune/error.h"

namespace fs = std::filesystem;

namespace quboprune {
namespace {

struct Arrays {
  std::string form;
  at::Tensor inputs, targets;
  std::map<std::string, at::Tensor> others{};
  std::vector<std::string> unused{};  ///< names
};

bool one_number_each(const at::Tensor& array) {
  return array.numel() == array.size(0);
}

class TensorDataset : public Dataset {
 public:
  TensorDataset(std::string source, Arrays arrays, TargetKind kind, const DataOptions& options)
      : source_(std::move(source)), arrays_(std::move(arrays)), kind_(kind), options_(options) {
    const bool classes = kind_ == TargetKind::label;
    for (std::int64_t i = 0; i < arrays_.inputs.size(0); ++i) {
      const int label = classes ? static_cast<int>(arrays_.targets[i].item<std::int64_t>()) : 0;
      items_.push_back({std::to_string(i), std::to_string(i), label});  // each sample is its own scene
    }
    split_ = split_scenes(items_, options.split, false, source_);
    split_.calibration = spread_over_scenes(split_.calibration, items_);
    split_.heldout = spread_over_scenes(split_.heldout, items_);
    if (!arrays_.unused.empty())
      split_.notes.push_back(fmt::format(
          "{}: not used, as arrays are called inputs, targets or as the network's other inputs are: {}",
          source_, fmt::join(arrays_.unused, ", ")));
  }

  std::vector<Sample> samples(Part part, const Control& control) const override {
    if (part == Part::calibration) return first(split_.calibration, options_.limit, control);
    if (part == Part::heldout) return first(split_.heldout, options_.heldout_limit, control);
    std::vector<Piece> everything;
    for (std::size_t i = 0; i < items_.size(); ++i) everything.push_back({i});
    return first(everything, 0, control);
  }

  Sample random_crop(Rng& rng, int /*crop*/, bool /*augment*/) const override {
    constexpr int kTries = 1000;
    for (int tries = 0; tries < kTries; ++tries) {
      Sample drawn =
          sample(split_.calibration[rng.below(static_cast<std::uint32_t>(split_.calibration.size()))].item);
      if (tells(drawn, kind_)) return drawn;
    }
    refuse_all();
  }

  TargetKind target_kind() const override { return kind_; }
  std::vector<std::string> notes() const override {
    std::vector<std::string> result = split_.notes;
    if (!untold_.empty())
      result.push_back(fmt::format("{} maps have no label that counts and were left out: sample {}{}",
                                   untold_.size(), items_[*untold_.begin()].name,
                                   untold_.size() > 1 ? ", ..." : ""));
    return result;
  }

  Manifest manifest() const override {
    Manifest result{source_, arrays_.form, "", kind_, {}, {}, {}, {}};
    for (const Piece& piece : split_.calibration) result.calibration.push_back(items_[piece.item].name);
    for (const Piece& piece : split_.heldout) result.heldout.push_back(items_[piece.item].name);
    result.calibration_scenes = result.calibration;
    result.heldout_scenes = result.heldout;
    std::sort(result.calibration_scenes.begin(), result.calibration_scenes.end());
    std::sort(result.heldout_scenes.begin(), result.heldout_scenes.end());
    result.apart = split_.apart;
    return result;
  }

 private:
  [[noreturn]] void refuse_all() const {
    throw InputError(source_ +
                     ": no label of the maps counts (negative ones don't, nor 255); give other targets");
  }

  std::vector<Sample> first(const std::vector<Piece>& pieces, int limit, const Control& control) const {
    std::vector<Sample> result;
    for (const Piece& piece : pieces) {
      if (control.stopped()) throw Stopped("stopped while reading the data: nothing was written");
      if (limit > 0 && static_cast<int>(result.size()) >= limit) break;
      Sample next = sample(piece.item);
      if (tells(next, kind_)) {
        result.push_back(std::move(next));
      } else {
        const std::lock_guard lock(untold_mutex_);
        untold_.insert(piece.item);
      }
    }
    if (result.empty()) refuse_all();
    return result;
  }

  Sample sample(std::size_t item) const {
    const auto index = static_cast<std::int64_t>(item);
    Sample result{values(arrays_.inputs[index]), {}, items_[item].name, items_[item].scene};
    if (!options_.mean.empty()) result.input = normalised(result.input, options_);
    if (kind_ == TargetKind::label || kind_ == TargetKind::label_map)
      result.target = label(arrays_.targets[index]);
    else if (kind_ != TargetKind::none)
      result.target = values(arrays_.targets[index]);
    for (const auto& [name, array] : arrays_.others)
      result.others[name] = options_.others.at(name) ? values(array[index]) : array[index].clone();
    return result;
  }

  /// A copy: one number of a sample as a scalar, however it was kept.
  static at::Tensor label(const at::Tensor& stored) {
    const at::Tensor result = stored.to(at::kLong, /*non_blocking=*/false, /*copy=*/true).contiguous();
    return result.numel() == 1 ? result.reshape({}) : result;
  }

  /// A copy as float32, bytes scaled as images are.
  at::Tensor values(const at::Tensor& stored) const {
    const at::Tensor result = stored.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
    if (stored.scalar_type() == at::kByte) return result * (options_.value_scale / 255);
    return result;
  }

  std::string source_;
  Arrays arrays_;
  TargetKind kind_;
  DataOptions options_;
  std::vector<SplitItem> items_;
  Split split_;
  mutable std::mutex untold_mutex_;
  mutable std::set<std::size_t> untold_;  ///< items whose map of labels has none that counts
};

bool ends_with(const fs::path& path, std::string_view extension) {
  return lowered(path.extension().string()) == extension;
}

Arrays arrays_of_npz(const fs::path& path, const std::map<std::string, bool>& others) {
  std::set<std::string> wanted{"inputs", "targets"};
  for (const auto& [name, scaled] : others) wanted.insert(name);
  auto arrays = read_npz(path, wanted);
  if (!arrays.count("inputs")) {
    std::string found;
    for (const auto& [name, array] : arrays) found += (found.empty() ? "" : ", ") + name;
    throw InputError(path.string() + ": has no array 'inputs' (it has: " + (found.empty() ? "none" : found) +
                     ")");
  }
  Arrays result{".npz arrays", arrays["inputs"], arrays.count("targets") ? arrays["targets"] : at::Tensor()};
  for (const auto& [name, scaled] : others)
    if (arrays.contains(name)) result.others[name] = arrays[name];
  for (const auto& [name, array] : arrays)
    if (!wanted.contains(name)) result.unused.push_back(name);
  return result;
}

Arrays read_arrays(const fs::path& source, const std::map<std::string, bool>& others) {
  if (fs::is_regular_file(source)) {
    if (ends_with(source, ".npz")) return arrays_of_npz(source, others);
    if (ends_with(source, ".npy")) return {".npy array", read_npy(source), {}};
    return {};
  }
  if (!fs::exists(source / "inputs.npy")) return {};
  const bool targets = fs::exists(source / "targets.npy");
  Arrays result{".npy arrays", read_npy(source / "inputs.npy"),
                targets ? read_npy(source / "targets.npy") : at::Tensor()};
  for (const auto& [name, scaled] : others) {
    const fs::path file = source / (name + ".npy");
    const bool inside = file.parent_path() == source;  // a network may call its inputs anything
    if (inside && fs::exists(file)) result.others[name] = read_npy(file);
  }
  return result;
}

bool whole_numbers(const at::Tensor& tensor) {
  return at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false);
}

TargetKind kind_of(const Arrays& arrays, const DataOptions& options) {
  const at::Tensor& targets = arrays.targets;
  if (!targets.defined()) return TargetKind::none;
  const auto inputs = arrays.inputs.sizes();
  const auto map = [&] {
    return targets.sizes().slice(1) ==
           (options.inputs_channels_last ? inputs.slice(1, inputs.size() - 2) : inputs.slice(2));
  };
  if (whole_numbers(targets) && one_number_each(targets)) return TargetKind::label;
  if (whole_numbers(targets) && inputs.size() > 2 && map()) return TargetKind::label_map;
  const bool images = inputs.size() == 4 && targets.dim() == 4 &&
                      is_channels(targets.size(options.targets_channels_last ? 3 : 1));
  return images ? TargetKind::image : TargetKind::tensor;
}

void check_finite(const at::Tensor& array, const std::string& what, const std::string& source) {
  if (!array.is_floating_point()) return;
  for (std::int64_t i = 0; i < array.size(0); ++i) {
    if (!at::isfinite(array[i]).all().item<bool>())
      throw InputError(source + ": the " + what + " of sample " + std::to_string(i) +
                       " hold NaN or infinity: correct the sample or leave it out");
  }
}

void check_arrays(const Arrays& arrays, const std::string& source) {
  if (arrays.inputs.dim() < 2 || arrays.inputs.size(0) == 0)
    throw InputError(source + ": inputs of shape " + at::str(arrays.inputs.sizes()) +
                     "; the first axis has to count the samples, and there has to be one");
  check_finite(arrays.inputs, "inputs", source);
  for (const auto& [name, array] : arrays.others) {
    if (array.dim() == 0 || array.size(0) != arrays.inputs.size(0))
      throw InputError(source + ": inputs " + at::str(arrays.inputs.sizes()) + " and " + name + " " +
                       at::str(array.sizes()) + " differ in their number of samples");
    check_finite(array, name, source);
  }
  if (!arrays.targets.defined()) return;
  if (arrays.targets.dim() == 0 || arrays.targets.size(0) != arrays.inputs.size(0))
    throw InputError(source + ": inputs " + at::str(arrays.inputs.sizes()) + " and targets " +
                     at::str(arrays.targets.sizes()) + " differ in their number of samples");
  check_finite(arrays.targets, "targets", source);
}

}  // namespace

std::unique_ptr<Dataset> open_tensor_dataset(const fs::path& source, const DataOptions& options) {
  Arrays arrays = read_arrays(source, options.others);
  if (!arrays.inputs.defined()) return nullptr;
  check_arrays(arrays, source.string());
  const TargetKind kind = kind_of(arrays, options);
  if (kind == TargetKind::label_map && tones_of(arrays.targets).two_classes())
    arrays.targets = arrays.targets.eq(255).to(at::kLong);
  return std::make_unique<TensorDataset>(source.string(), std::move(arrays), kind, options);
}

}  // namespace quboprune
