#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "cli/commands.h"
#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/model.h"

namespace quboprune {

/// What every report begins with: "tool", "command", "arguments" and "seed".
nlohmann::json report_head(const std::string& command, const Context& context);

/// Parameters, multiply-adds or filters under a mask.
std::int64_t count_of(const ChannelGroups& groups, Cost cost, const Mask& mask);

/// "model" of a report: path, sha256, parameters, macs, filters (those that may go) and the size analysed.
nlohmann::json model_json(const std::string& path, const Model& model, const ChannelGroups& groups);

/// The same of a network that the command doesn't analyse: path and sha256 alone where it can't be.
nlohmann::json model_json(const std::string& path, const Model& model, std::span<const Sample> samples);

/// Names in "data" of a report: those of the samples that were used, each once, in their order.
nlohmann::json names_of(std::span<const Sample> samples);

}  // namespace quboprune
