#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/metrics.h"
#include "quboprune/model.h"

namespace quboprune {

/// The options that name the data and how networks are judged on it: --data, --noise, --crop, --metric, ...
struct DataArguments {
  std::string source;
  DataOptions options;
  int channels = 0;  ///< 0: what the network's input says
  std::string metric, loss;
  std::vector<std::string> inputs;  ///< NAME=VALUE

  void add_to(CLI::App& command, bool required = true);
  /// Opens the source, with channels and crops that fit the network.
  std::unique_ptr<Dataset> open(const Graph& graph, std::uint64_t seed);
  /// A sentence on sizes that were asked for and that the network doesn't take; empty where there are none.
  std::string without_say() const;
  /// A sentence on class folders that aren't as many as the network's classes; empty where they are.
  static std::string classes_say(const Dataset& data, const Graph& graph);
  /// --metric, --loss and --input, each of which names an input besides the network's first; what isn't given
  /// follows from the data.
  Judge judge(const Dataset& data, const Graph& graph) const;

 private:
  /// Channels, sizes and layout of images as the network's first input and output declare them.
  void fit_images(const Graph& graph);

  const CLI::App* command_ = nullptr;  ///< that the options were added to
};

/// Throws InputError where the metric is no number on a sample: the network computes NaN there.
void check_score(const Score& score, std::span<const Sample> samples, const std::string& model);

/// SHA-256 of what samples hold: another one where the images behind the same names have changed.
std::string digest_of(std::span<const Sample> samples);

/// What was used, for reports: source, form, the samples and scenes of each part, notes.
nlohmann::json describe(const Dataset& data);

}  // namespace quboprune
