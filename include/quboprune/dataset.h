#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quboprune/progress.h"
#include "quboprune/random.h"

namespace quboprune {

/// What an item of a data set has besides its input; label: one for all of it, label_map: one a pixel.
enum class TargetKind { none, image, label, label_map, tensor };

/// One sample as the network takes it: float32, values scaled as asked for (images: 0..1 by default).
struct Sample {
  at::Tensor input;   ///< [C, H, W] for images (see DataOptions::inputs_channels_last), any shape without the
                      ///< batch axis otherwise
  at::Tensor target;  ///< same layout; int64 for labels, scalar or [H, W]; undefined without
  std::string name;   ///< file name or index: shown in reports
  std::string scene;  ///< samples of one scene never lie on both sides of a split
  std::map<std::string, at::Tensor> others{};  ///< by name: for the network's inputs besides the first
};

/// Each sample's scene: the clusters of paired_difference().
std::vector<std::string> scene_of_each(std::span<const Sample> samples);

/// How a source of data is read.
struct DataOptions {
  int channels = 3;  ///< 1: converted to grey, 3: RGB
  int crop = 128;    ///< square crops of this size for calibration; 0: whole images
  /// Where no image is as large as `crop`: smaller ones, a multiple of size_multiple, in place of an error.
  bool smaller_crops = false;
  /// Calibration samples, at most; 0: one of each image (labels, tensors: every sample).
  int limit = 64;
  int heldout_crop = 256;  ///< held-out images are cut to their middle, at most this high and wide; 0: whole
  int heldout_limit = 0;   ///< held-out samples, at most; 0: one of each image
  int size_multiple = 16;  ///< heights and widths of uncut images are cut down to a multiple of this
  /// What a network takes that takes one height or width only; 0: any. Crops and held-out pieces have it,
  /// whatever crop, heldout_crop and size_multiple say. Class images of other sizes are brought to it: the
  /// middle seven eighths of each, as classifiers are usually judged (224 pixels of 256).
  int height = 0, width = 0;
  /// What an image's channels have as mean and deviation where the network was trained, in units of
  /// value_scale, one a channel: inputs become (value - mean) / deviation, targets don't. Empty: 0 and 1.
  std::vector<double> mean{}, deviation{};
  /// Images are given as [H, W, C], as networks from TensorFlow take and give them, not as [C, H, W].
  bool inputs_channels_last = false, targets_channels_last = false;
  double value_scale = 1.0;  ///< images are read as 0..1 and multiplied by this (255 for networks in 0..255)
  std::string noise{};       ///< noise drawn on clean images ("" none); see noise.h
  double max_downscale =
      4;  ///< clean images with drawn noise are first reduced by a random factor from 1 to this
  /// How the data are split into calibration and held-out ones, always by whole scenes:
  /// "auto": about half of the scenes each; "0.7": that part of the scenes for calibration; "all": no
  /// split, both are everything; or a text file, one held-out scene or sample name a line (# comments).
  /// With one scene only, its images are cut: one end for calibration, the other held out (see notes()).
  std::string split = "auto";
  /// Arrays to read besides inputs and targets, where the source has them; true: their bytes are scaled as
  /// images are.
  std::map<std::string, bool> others{};
  std::uint64_t seed = 1;  ///< of crops and drawn noise; the split doesn't depend on it
  std::size_t cache_bytes = std::size_t{1} << 30U;  ///< decoded images kept in memory, at most
};

/// Which part of a source is wanted. With split "all" both parts are everything.
enum class Part { calibration, heldout, all };

/// What a data set consists of, for reports.
struct Manifest {
  std::string source;  ///< as given
  std::string form;    ///< the form that was recognised, in words
  std::string noise;   ///< the noise drawn, or ""
  TargetKind target = TargetKind::none;
  std::vector<std::string> calibration;         ///< names of the images or samples
  std::vector<std::string> heldout;             ///< the same names again where an image is cut in two
  std::vector<std::string> calibration_scenes;  ///< sorted
  std::vector<std::string> heldout_scenes;      ///< sorted
  /// Whether nothing held out calibrates too: not of split "all". Scenes don't say, as one may be cut in two.
  bool apart = true;
};

/// Inputs, perhaps with targets, in two parts that share no scene.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// The samples of one part, the same ones for the same options.
  ///
  /// Images, calibration: `limit` crops, spread evenly over scenes, then images; within an image such
  /// that brightness and detail of all crops together vary as much as can be. Held-out: one piece of each
  /// image, its middle. all: the middle piece of each image. Labels and tensors: whole samples, evenly
  /// spread over the classes. Throws InputError, naming the file, where one can't be read or doesn't fit;
  /// Stopped if it is stopped.
  virtual std::vector<Sample> samples(Part part, const Control& control = {}) const = 0;

  /// A training sample from the calibration part: a random crop x crop piece of a random image (but see
  /// DataOptions::height), with `augment` flipped and turned (labels: mirrored at most), noise drawn anew.
  /// crop 0: the whole image. Labelled images and tensors are returned whole, whatever `crop` is: as they are
  /// judged. Maps of labels of which none counts aren't drawn.
  ///
  /// Safe from several threads. Depends on `rng` alone as long as the images fit into cache_bytes; beyond
  /// that, most crops come from the images in memory, which are exchanged little by little.
  virtual Sample random_crop(Rng& rng, int crop, bool augment) const = 0;

  virtual TargetKind target_kind() const = 0;
  /// Side of the calibration's crops: DataOptions::crop, or what came in its place (see smaller_crops there);
  /// 0: nothing is cut.
  virtual int crop() const { return 0; }
  virtual Manifest manifest() const = 0;
  /// What the user should know about this source, a sentence each (how it was split where that wasn't by
  /// scenes, images left out).
  virtual std::vector<std::string> notes() const = 0;
};

/// Opens a source whose form is recognised from what is there:
///
/// - paired folders: `noisy/` and `clean/` with the same file names (PNG, JPEG, TIFF, 8 or 16 bit)
/// - SIDD scene folders: `*NOISY_SRGB*` and `*GT_SRGB*` in sub-folders (Small and Medium)
/// - SIDD validation blocks: `ValidationNoisyBlocksSrgb.mat` and `ValidationGtBlocksSrgb.mat` (v5, v7.3)
/// - .npz, .npy: arrays `inputs` and perhaps `targets`; the first axis counts the samples. Whole numbers are
///   labels, one a sample or one a pixel (of which 0 and 255 alone are again classes 0 and 1)
/// - images and masks: `images/` and `masks/` with the same file names but for their endings; a mask's values
///   are class numbers (grey, 8 or 16 bit), and where there are 0 and 255 alone, 255 is class 1
/// - class folders: a folder a class, of images; labels are the sorted folders' numbers
/// - clean images: a folder of images, with `options.noise`
/// - inputs without targets: a folder of images, without it
///
/// Throws InputError (one line: what, where, what to do) if the source isn't there, is none of these, a
/// pair doesn't match, the split leaves a part empty, or an option is out of range.
std::unique_ptr<Dataset> open_dataset(const std::string& source, const DataOptions& options);

}  // namespace quboprune
