#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace quboprune {

/// The report as text for a terminal of 100 columns: sizes before and after, the metric of each stage on
/// calibration and on held-out data, the layers, how the mask was found, where the time went.
///
/// `report` has the keys of report.json (docs/report.md); parts that aren't there are left out, so the
/// reports of all commands can be given. Plain UTF-8, no colours; ends with a newline.
std::string terminal_report(const nlohmann::json& report);

/// The same and more as one web page: images before and after, charts, every removed group with its
/// reasons. Self-contained: opens offline, loads nothing. All text of the report is escaped.
///
/// Besides the keys above it shows report["images"] = [{"name", "noisy", "clean", "dense", "pruned",
/// "psnr": {"noisy", "dense", "pruned"}}], pictures as data URIs ("data:image/png;base64,..."; anything
/// else is not shown), and refinement["history"] = [{"evaluations", "best"}].
std::string html_report(const nlohmann::json& report);

}  // namespace quboprune
