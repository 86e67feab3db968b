#include "report/values.h"

#include <fmt/format.h>

#include <cmath>

namespace quboprune::report {
namespace {

const std::string kNone = "–";

std::string grouped(double value) {
  std::string digits = fmt::format("{:.0f}", std::abs(value));
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return (value < 0 ? "-" : "") + digits;
}

double unit_scale(const std::string& metric) {
  return metric == "top1" ? 100.0 : 1.0;
}

std::string unit(const std::string& metric) {
  if (metric == "psnr") return " dB";
  return metric == "top1" ? " %" : "";
}

int decimals(const std::string& metric) {
  return metric == "psnr" || metric == "top1" ? 2 : 4;
}

}  // namespace

const Json& at(const Json& json, const std::string& pointer) {
  static const Json none;
  const Json::json_pointer path(pointer);
  return json.contains(path) ? json.at(path) : none;
}

std::optional<double> number(const Json& json, const std::string& pointer) {
  const Json& found = at(json, pointer);
  if (!found.is_number() || !std::isfinite(found.get<double>())) return std::nullopt;
  return found.get<double>();
}

std::string text(const Json& json, const std::string& pointer) {
  const Json& found = at(json, pointer);
  if (found.is_string()) return found.get<std::string>();
  return found.is_number() ? found.dump() : "";
}

const Json& list(const Json& json, const std::string& pointer) {
  static const Json empty = Json::array();
  const Json& found = at(json, pointer);
  return found.is_array() ? found : empty;
}

std::string show_count(std::optional<double> value) {
  if (!value) return kNone;
  const double size = std::abs(*value);
  if (size < 1e5) return grouped(*value);
  if (size < 1e6) return fmt::format("{:.1f} k", *value / 1e3);
  if (size < 1e9) return fmt::format("{:.2f} M", *value / 1e6);
  return fmt::format("{:.2f} G", *value / 1e9);
}

std::string show_threads(std::optional<double> threads) {
  return show_count(threads) + (threads == 1 ? " thread" : " threads");
}

std::string show_percent(std::optional<double> part) {
  return part ? fmt::format("{:.1f} %", 100 * *part) : kNone;
}

std::string show_seconds(std::optional<double> value) {
  if (!value) return kNone;
  if (*value < 0.9995) return fmt::format("{:.0f} ms", *value * 1e3);
  if (*value < 59.95) return fmt::format("{:.1f} s", *value);
  const auto whole = static_cast<long>(std::lround(*value));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string show_bytes(std::optional<double> value) {
  if (!value) return kNone;
  if (*value < 1e6) return fmt::format("{:.0f} KB", *value / 1e3);
  if (*value < 1e9) return fmt::format("{:.0f} MB", *value / 1e6);
  return fmt::format("{:.1f} GB", *value / 1e9);
}

std::string show_number(std::optional<double> value) {
  return value ? fmt::format("{:.4g}", *value) : kNone;
}

std::string show_name(const std::string& metric) {
  if (metric == "psnr") return "PSNR";
  if (metric == "ssim") return "SSIM";
  if (metric == "top1") return "top-1 accuracy";
  return metric == "output" ? "error against the original" : metric;
}

std::string show_metric(const std::string& metric, std::optional<double> value) {
  if (!value) return kNone;
  return fmt::format("{:.{}f}{}", *value * unit_scale(metric), decimals(metric), unit(metric));
}

std::string show_change(const std::string& metric, std::optional<double> value, std::optional<double> base) {
  if (!value || !base) return kNone;
  return fmt::format("{:+.{}f}{}", (*value - *base) * unit_scale(metric), decimals(metric), unit(metric));
}

std::string show_interval(const std::string& metric, const Json& change) {
  const auto low = number(change, "/low"), high = number(change, "/high");
  if (!low || !high) return "";
  const double scale = unit_scale(metric);
  return fmt::format(" [{:+.{}f}, {:+.{}f}]", *low * scale, decimals(metric), *high * scale,
                     decimals(metric));
}

std::optional<double> heldout_metric(const Json& entry) {
  const auto recovered = number(entry, "/result/metric/heldout/recovered");
  return recovered ? recovered : number(entry, "/result/metric/heldout/pruned");
}

std::string show_heldout_change(const Json& entry) {
  const std::string metric = text(entry, "/result/metric/name");
  return show_change(metric, heldout_metric(entry), number(entry, "/result/metric/heldout/dense")) +
         show_interval(metric, at(entry, "/result/metric/heldout/change"));
}

std::optional<double> removed_part(std::optional<double> before, std::optional<double> after) {
  if (!before || !after || *before <= 0) return std::nullopt;
  return 1 - *after / *before;
}

std::string show_relative_time(const Json& entry) {
  const auto dense = number(entry, "/latency/dense_ms");
  const auto pruned = number(entry, "/latency/pruned_ms");
  if (!dense || !pruned || *dense <= 0) return show_percent(std::nullopt);
  return show_percent(*pruned / *dense);
}

}  // namespace quboprune::report
