#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quboprune/distil.h"

namespace quboprune {

/// What --recover works on and how.
struct Repair {
  const ChannelGroups& groups;
  const Mask& mask;
  const Dataset& data;
  std::span<const Sample> calibration;
  const Judge& judge;
  const RefitOptions& refit;
  FinetuneOptions train;
};

struct Recovery {
  Graph graph;
  std::optional<Graph> refitted;  ///< the start of a training
  nlohmann::json report;          ///< "recovery" of the report
  std::vector<std::string> notes;
};

/// how: refit, bn or finetune. Where the work was stopped before it, it is repaired all the same, unless it
/// is stopped again (Finishing), and not trained.
Recovery recovered(const std::string& how, const Repair& repair, const Control& control);

/// Defaults of --recover finetune; docs/recover.md has the measurements behind them.
FinetuneOptions distillation();

}  // namespace quboprune
