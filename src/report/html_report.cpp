#include <fmt/format.h>

#include <string>
#include <string_view>

#include "quboprune/report.h"
#include "report/html.h"
#include "report/sections.h"

namespace quboprune {

namespace embedded {
extern const std::string_view chart_library;  // Chart.js, from Debian's package, with its licence notice
extern const std::string_view page_style;     // page/style.css
extern const std::string_view page_script;    // page/charts.js
}  // namespace embedded

namespace {

std::string title_of(const report::Json& json) {
  const std::string path = report::text(json, "/model/path");
  const std::string name = path.substr(path.find_last_of('/') + 1);
  return name.empty() ? "quboprune report" : name;
}

std::string subtitle_of(const report::Json& json) {
  const auto part = report::number(json, "/target/removed_fraction");
  if (!part) return "A report of quboprune";
  return fmt::format("{} of the {} to be removed", report::show_percent(part),
                     report::text(json, "/target/kind"));
}

}  // namespace

std::string html_report(const nlohmann::json& json) {
  using namespace report;  // NOLINT: the sections
  using html::escape;
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{} – quboprune</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{}</h1>\n<p>{}</p>\n</header>\n",
      escape(title_of(json)), embedded::page_style, escape(title_of(json)), escape(subtitle_of(json)));
  for (const auto part : {summary_section, images_section, quality_section, methods_section, budgets_section,
                          layers_section, search_section, removed_section, recovery_section,
                          certificate_section, stages_section, origin_section}) {
    page += part(json);
  }
  page += "</main>\n" + html::script_data("chart-data", chart_data(json));
  page += fmt::format("<script>{}</script>\n<script>{}</script>\n</body>\n</html>\n", embedded::chart_library,
                      embedded::page_script);
  return page;
}

}  // namespace quboprune
