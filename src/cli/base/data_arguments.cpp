#include "cli/base/data_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "cli/base/ignored_options.h"
#include "cli/base/numbers.h"
#include "data/image_layout.h"
#include "model/element_types.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

std::string default_metric(TargetKind kind) {
  switch (kind) {
    case TargetKind::image:
      return "psnr";
    case TargetKind::label:
    case TargetKind::label_map:
      return "top1";
    case TargetKind::tensor:
      return "loss";
    case TargetKind::none:
      return "output";
  }
  return "output";
}

std::string default_loss(TargetKind kind) {
  switch (kind) {
    case TargetKind::image:
      return "l1";
    case TargetKind::label:
    case TargetKind::label_map:
      return "cross-entropy";
    case TargetKind::tensor:
      return "mse";
    case TargetKind::none:
      return "output";
  }
  return "output";
}

/// The data go to the first input; the others can be named.
void check_input(const std::string& name, const Graph& graph) {
  std::string others;
  for (std::size_t k = 1; k < graph.inputs.size(); ++k) {
    const std::string& other = graph.values[static_cast<std::size_t>(graph.inputs[k])].name;
    if (other == name) return;
    others += (others.empty() ? "" : ", ") + other;
  }
  throw InputError("--input " + name + ": the network has no such input besides its first; it has " +
                   (others.empty() ? "none" : others));
}

/// Whether a shape of four axes is declared and is that of images [n, H, W, C].
bool channels_last(const Value& value) {
  return value.declared && value.shape.size() == 4 && is_channels(value.shape[3]) &&
         !is_channels(value.shape[1]);
}

}  // namespace

void DataArguments::add_to(CLI::App& command, bool required) {
  command_ = &command;
  auto* data = command.add_option(
      "--data", source,
      "Folder or file: noisy/ and clean/, SIDD scenes or .mat blocks, class folders, .npz, images");
  if (required) data->required();
  command.add_option("--noise", options.noise,
                     "Draw noise on clean images: camera, camera:17-42, gaussian:25, ...");
  command
      .add_option("--crop", options.crop,
                  "Size of calibration crops; 0: whole images. By default less where no image is as large")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--heldout-crop", options.heldout_crop,
                  "Held-out images are cut to their middle of this size; 0: whole")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--calibration", options.limit,
                  "Calibration samples at most; 0: a piece of each image, or all")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("--heldout", options.heldout_limit, "Held-out samples at most; 0: one of each image")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--split", options.split,
                  "auto, all, the calibration's share of scenes, or a file naming held-out scenes")
      ->capture_default_str();
  command.add_option("--channels", channels, "1 grey, 3 RGB; by default what the network's input has")
      ->check(CLI::IsMember({0, 1, 3}));
  command
      .add_option("--value-scale", options.value_scale,
                  "Images are read as 0..1 times this; 255 by default where the network takes bytes")
      ->check(positive())
      ->capture_default_str();
  command
      .add_option("--size-multiple", options.size_multiple, "Uncut images are cut down to a multiple of this")
      ->check(positive())
      ->capture_default_str();
  command
      .add_option("--mean", options.mean,
                  "Images' inputs become (value - MEAN) / STD: a number a channel, by comma, in units of "
                  "--value-scale")
      ->delimiter(',');
  command.add_option("--std", options.deviation, "See --mean")->delimiter(',');
  command.add_option("--metric", metric, "psnr, ssim, top1, loss or output; by default what fits the data");
  command.add_option("--loss", loss, "l1, mse, cross-entropy or output");
  command.add_option("--input", inputs,
                     "NAME=VALUE for an input besides the first (a noise level); may be repeated");
}

std::unique_ptr<Dataset> DataArguments::open(const Graph& graph, std::uint64_t seed) {
  options.seed = seed;
  for (std::size_t k = 1; k < graph.inputs.size(); ++k) {
    const Value& other = graph.values[static_cast<std::size_t>(graph.inputs[k])];
    options.others[other.name] = at::isFloatingType(held_type(other.element).value_or(at::kFloat));
  }
  if (!graph.inputs.empty()) fit_images(graph);
  if (channels != 0) options.channels = channels;
  options.smaller_crops = command_ != nullptr && command_->count("--crop") == 0;
  auto data = open_dataset(source, options);
  if (data->crop() > 0) options.crop = data->crop();
  return data;
}

void DataArguments::fit_images(const Graph& graph) {
  const Value& input = graph.values[static_cast<std::size_t>(graph.inputs.front())];
  const bool bytes = held_type(input.element) == at::kByte;
  if (bytes && !options.mean.empty())
    throw InputError(
        "--mean, --std: the network takes bytes, 0 to 255, and normalises them itself; leave them out");
  if (bytes && command_ != nullptr && command_->count("--value-scale") == 0) options.value_scale = 255;
  if (!input.declared || input.shape.size() != 4) return;
  options.inputs_channels_last = channels_last(input);
  const auto at = [&](std::size_t axis) {
    return static_cast<int>(std::max<std::int64_t>(0, input.shape[axis]));
  };
  const std::size_t rows = options.inputs_channels_last ? 1 : 2;
  const int found = at(options.inputs_channels_last ? 3 : 1);
  if (channels == 0 && is_channels(found)) channels = found;
  options.height = at(rows);
  options.width = at(rows + 1);
  if (options.height == options.width && options.height > 0)
    options.crop = options.heldout_crop = options.height;  // what reports say
  if (graph.outputs.empty()) return;
  // An output that says nothing of its layout is taken for laid out as the input is.
  const Value& output = graph.values[static_cast<std::size_t>(graph.outputs.front())];
  const bool first = output.declared && output.shape.size() == 4 && is_channels(output.shape[1]);
  options.targets_channels_last = channels_last(output) || (options.inputs_channels_last && !first);
}

std::string DataArguments::classes_say(const Dataset& data, const Graph& graph) {
  if (data.target_kind() != TargetKind::label || graph.outputs.empty()) return "";
  const Manifest manifest = data.manifest();
  std::set<std::string> folders;
  for (const auto* part : {&manifest.calibration, &manifest.heldout})
    for (const std::string& name : *part) folders.insert(std::filesystem::path(name).parent_path().string());
  const Value& output = graph.values[static_cast<std::size_t>(graph.outputs.front())];
  if (folders.contains("") || !output.declared || output.shape.size() != 2) return "";
  const std::int64_t classes = output.shape[1];
  const auto found = static_cast<std::int64_t>(folders.size());
  if (classes <= 1 || classes == found) return "";
  return fmt::format(
      "{} class folders for a network of {} classes: in alphabetical order they are taken for classes 0 to "
      "{}; "
      "where they are others, give arrays (.npz) with the right numbers",
      found, classes, found - 1);
}

std::string DataArguments::without_say() const {
  if (command_ == nullptr || options.height <= 0 || options.width <= 0) return "";
  return ignored_options(*command_, {"--crop", "--heldout-crop", "--size-multiple"},
                         fmt::format("the network takes {}x{} only", options.height, options.width));
}

Judge DataArguments::judge(const Dataset& data, const Graph& graph) const {
  Judge judge;
  judge.metric = metric_from_name(metric.empty() ? default_metric(data.target_kind()) : metric);
  judge.loss = loss_from_name(loss.empty() ? default_loss(data.target_kind()) : loss);
  if (!loss.empty() && judge.loss != Loss::output && data.target_kind() == TargetKind::none)
    throw InputError("--loss " + loss +
                     ": the data have no targets; give data with targets, or leave it out: the distance to "
                     "the original's outputs is then the loss");
  const bool of_numbers = judge.metric == Metric::psnr || judge.metric == Metric::ssim ||
                          judge.loss == Loss::l1 || judge.loss == Loss::mse;
  if (data.target_kind() == TargetKind::label_map && of_numbers)
    throw InputError(
        "maps of labels are judged by top1 and cross-entropy, or by the distance to the original's "
        "outputs (--metric output --loss output): other metrics and losses take labels for amounts");
  judge.peak = options.value_scale;
  judge.class_scores = class_scores_of(graph);
  for (const auto& text : inputs) {
    const auto at = text.find('=');
    std::size_t used = 0;
    double value = 0;
    try {
      if (at != std::string::npos) value = std::stod(text.substr(at + 1), &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (at == std::string::npos || at == 0 || used == 0 || used != text.size() - at - 1)
      throw InputError("--input " + text + ": not NAME=VALUE with a number");
    const std::string name = text.substr(0, at);
    check_input(name, graph);
    if (!std::isfinite(value)) throw InputError("--input " + text + ": give a finite number");
    judge.fills[name] = value;
  }
  return judge;
}

void check_score(const Score& score, std::span<const Sample> samples, const std::string& model) {
  for (std::size_t s = 0; s < score.samples.size(); ++s) {
    if (std::isnan(score.samples[s]))
      throw InputError(model + ": computes NaN for sample '" + samples[s].name +
                       "': check the network's weights, and --value-scale");
  }
}

std::string digest_of(std::span<const Sample> samples) {
  std::string digests;
  for (const auto& sample : samples) {
    // Scenes too: they say what is repaired on what. Sizes: the same bytes may be other images.
    digests += sha256_of_bytes(sample.scene);
    std::vector<at::Tensor> all{sample.input, sample.target};
    for (const auto& [name, tensor] : sample.others) all.push_back(tensor);
    for (const at::Tensor& tensor : all) {
      if (!tensor.defined()) continue;
      const at::Tensor whole = tensor.contiguous();
      digests += fmt::format("{}", fmt::join(whole.sizes().vec(), "x"));
      digests += sha256_of_bytes({static_cast<const char*>(whole.data_ptr()), whole.nbytes()});
    }
  }
  return sha256_of_bytes(digests);
}

nlohmann::json describe(const Dataset& data) {
  const Manifest m = data.manifest();
  return {{"source", m.source},
          {"form", m.form},
          {"noise", m.noise},
          {"calibration", m.calibration},
          {"heldout", m.heldout},
          {"calibration_scenes", m.calibration_scenes},
          {"heldout_scenes", m.heldout_scenes},
          {"held_apart", m.apart},
          {"notes", data.notes()}};
}

}  // namespace quboprune
