#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>

namespace quboprune::report::html {

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 32 || c == '\t' || c == '\n') out += c;
    }
  }
  return out;
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::string out = "<div class=\"scroll\"><table>";
  if (!head.empty()) {
    out += "<thead><tr>";
    for (const std::string& name : head) out += "<th scope=\"col\">" + escape(name) + "</th>";
    out += "</tr></thead>";
  }
  out += "<tbody>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += i == 0 ? "<th scope=\"row\">" + escape(row[i]) + "</th>" : "<td>" + escape(row[i]) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(std::string_view title, std::string_view intro, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section>\n<h2>{}</h2>\n<p class=\"intro\">{}</p>\n{}</section>\n", escape(title),
                     escape(intro), body);
}

std::string chart(std::string_view id, int height, std::string_view label) {
  return fmt::format(
      "<div class=\"chart\" style=\"height:{}px\"><canvas id=\"{}\" role=\"img\" "
      "aria-label=\"{}\"></canvas></div>\n",
      height, escape(id), escape(label));
}

std::string picture(const std::string& data_uri, std::string_view label) {
  const std::string_view uri = data_uri;
  std::string_view bytes;
  for (const std::string_view start : {"data:image/png;base64,", "data:image/jpeg;base64,"}) {
    if (uri.substr(0, start.size()) == start) bytes = uri.substr(start.size());
  }
  const bool base64 = !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
  });
  if (!base64) return "";
  return fmt::format("<img src=\"{}\" alt=\"{}\">", data_uri, escape(label));
}

std::string script_data(std::string_view id, const nlohmann::json& data) {
  // Bytes that are no UTF-8 (file names may hold any) become U+FFFD instead of an error.
  std::string json = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return fmt::format("<script type=\"application/json\" id=\"{}\">{}</script>\n", escape(id), safe);
}

}  // namespace quboprune::report::html
