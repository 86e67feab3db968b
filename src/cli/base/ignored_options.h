#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace quboprune {

/// "--a, --b are ignored: <reason>", of those options that were given; empty where none was.
std::string ignored_options(const CLI::App& command, const std::vector<const char*>& names,
                            std::string_view reason);

}  // namespace quboprune
