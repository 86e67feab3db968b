#include "cli/base/mask_file.h"

#include <nlohmann/json.hpp>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw InputError(name + ": " + what);
}

Mask from_json(std::string_view text, const std::string& name) {
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception&) {
    refuse(name, "the JSON breaks off or is malformed: give the report of quboprune solve whole");
  }
  const json list = root.is_object() ? root.value("x", json()) : root;
  if (!list.is_array())
    refuse(name, "the JSON has no list \"x\": give the report of quboprune solve, or a list of 0s and 1s");
  Mask mask;
  for (const json& entry : list) {
    if (entry != 0 && entry != 1)
      refuse(name, "entry " + std::to_string(mask.size()) + " is " + entry.dump() + ": give 0 or 1");
    mask.push_back(entry == 1 ? 1 : 0);
  }
  return mask;
}

Mask from_text(std::string_view text, const std::string& name) {
  Mask mask;
  std::size_t line = 1;
  for (const char c : text) {
    if (c == '0' || c == '1')
      mask.push_back(c == '1' ? 1 : 0);
    else if (c == '\n')
      ++line;
    else if (c != ' ' && c != '\t' && c != '\r' && c != ',')
      refuse(name,
             "line " + std::to_string(line) +
                 " holds something that is no 0 or 1: give the report of quboprune solve, or 0s and 1s");
  }
  return mask;
}

}  // namespace

Mask parse_mask(std::string_view text, const std::string& name, int size) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) refuse(name, "the file is empty: give a solution of 0s and 1s");
  Mask mask = text[begin] == '{' || text[begin] == '[' ? from_json(text, name) : from_text(text, name);
  if (mask.size() != static_cast<std::size_t>(size))
    refuse(name, "a solution of " + std::to_string(mask.size()) + " variables, but the network has " +
                     std::to_string(size) +
                     " prunable groups: solve what quboprune formulate wrote for this network, with the same "
                     "--scope and --freeze");
  return mask;
}

Mask read_mask(const std::filesystem::path& path, int size) {
  return parse_mask(read_file(path), path.string(), size);
}

}  // namespace quboprune
