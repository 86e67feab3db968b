#include "cli/base/ignored_options.h"

#include <fmt/format.h>

#include <vector>

namespace quboprune {

std::string ignored_options(const CLI::App& command, const std::vector<const char*>& names,
                            std::string_view reason) {
  std::vector<std::string> given;
  for (const char* name : names) {
    if (command.count(name) > 0) given.emplace_back(name);
  }
  if (given.empty()) return "";
  return fmt::format("{} {} ignored: {}", fmt::join(given, ", "), given.size() == 1 ? "is" : "are", reason);
}

}  // namespace quboprune
