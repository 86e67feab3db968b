#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

namespace quboprune {

/// "--a, --b are ignored: <reason>", of those options that were given; empty where none was.
std::string ignored_options(const CLI::App& command, std::initializer_list<const char*> names,
                            std::string_view reason);

}  // namespace quboprune
