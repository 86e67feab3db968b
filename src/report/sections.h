#pragma once

#include <string>

#include "report/values.h"

/// The parts of the page, in reading order. Each gives HTML, or "" where the report has nothing for it.
namespace quboprune::report {

std::string summary_section(const Json& report);      ///< the figures that matter, large
std::string images_section(const Json& report);       ///< real images before and after
std::string quality_section(const Json& report);      ///< the metric after each stage
std::string methods_section(const Json& report);      ///< the compared methods
std::string budgets_section(const Json& report);      ///< what each budget of a sweep left
std::string layers_section(const Json& report);       ///< kept channels of each layer
std::string search_section(const Json& report);       ///< solver, refinement and its history
std::string removed_section(const Json& report);      ///< each removed group with its reasons
std::string recovery_section(const Json& report);     ///< what refit or training did, by layer
std::string certificate_section(const Json& report);  ///< what was verified
std::string stages_section(const Json& report);       ///< time and memory
std::string origin_section(const Json& report);       ///< model, data, seed, command

/// What page/charts.js draws: {"layers", "history", "trust", "quality", "methods", "budgets", "stages"}, each
/// where it is known.
Json chart_data(const Json& report);

}  // namespace quboprune::report
