#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace quboprune::report {

using Json = nlohmann::json;

/// What lies at a JSON pointer ("/result/macs"), or null where nothing does.
const Json& at(const Json& json, const std::string& pointer);
/// A number there; none where it is missing, not a number or not finite (JSON writes NaN as null).
std::optional<double> number(const Json& json, const std::string& pointer);
/// A string there, or a number as it is written; "" for all else.
std::string text(const Json& json, const std::string& pointer);
/// The elements of an array there; empty for all else.
const Json& list(const Json& json, const std::string& pointer);

/// How numbers are shown, the same in the terminal and on the page. "–" where there is none.
std::string show_count(std::optional<double> value);  ///< 1,234 below 100,000, then 123.5 k, 1.23 M, 4.56 G
/// "1 thread", "2 threads".
std::string show_threads(std::optional<double> threads);
std::string show_percent(std::optional<double> part);   ///< 0.36 as 36.0 %
std::string show_seconds(std::optional<double> value);  ///< 12 ms, 3.4 s, 2 min 5 s, 1 h 2 min
std::string show_bytes(std::optional<double> value);    ///< 512 KB, 1.2 GB; powers of 1000
std::string show_number(std::optional<double> value);   ///< four significant digits
/// A metric as it is written in a sentence: psnr as PSNR, top1 as top-1 accuracy.
std::string show_name(const std::string& metric);
/// A value of a metric: psnr in dB, top1 in percent, others as plain numbers.
std::string show_metric(const std::string& metric, std::optional<double> value);
/// value - base with its sign, in the metric's unit; "–" where one is missing.
std::string show_change(const std::string& metric, std::optional<double> value, std::optional<double> base);

/// The held-out metric of a report's or entry's network as it was written: repaired where it was.
std::optional<double> heldout_metric(const Json& entry);
/// What that gained over the original's, with its interval where there is one.
std::string show_heldout_change(const Json& entry);

/// " [low, high]" of a `change` with an interval, in the metric's unit; empty where there is none.
std::string show_interval(const std::string& metric, const Json& change);

/// The part removed: 1 - after / before.
std::optional<double> removed_part(std::optional<double> before, std::optional<double> after);

/// "latency" of a report or of one of its methods as the part of the original's time: 0.65 as 65.0 %.
std::string show_relative_time(const Json& entry);

}  // namespace quboprune::report
