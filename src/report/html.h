#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace quboprune::report::html {

/// Text as HTML: & < > " ' escaped, control characters other than tab and newline left out.
std::string escape(std::string_view text);

/// A table, "" without rows; all cells are escaped. An empty head is left out. Columns other than the
/// first are numbers, aligned right.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

/// A part of the page; "" if `body` (HTML) is. `intro` is text: what the reader sees here.
std::string section(std::string_view title, std::string_view intro, const std::string& body);

/// Room for a chart that page/charts.js draws; `height` in CSS pixels; `label`: what it shows, for those
/// who can't see it.
std::string chart(std::string_view id, int height, std::string_view label);

/// A picture, or "" if `data_uri` isn't one of a PNG or JPEG in base64 (nothing else may enter the page).
std::string picture(const std::string& data_uri, std::string_view label);

/// JSON that can stand inside a <script> element.
std::string script_data(std::string_view id, const nlohmann::json& data);

}  // namespace quboprune::report::html
