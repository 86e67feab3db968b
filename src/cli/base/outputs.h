#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

namespace quboprune {

/// Says before long work whether a command's files can be written: each output's folder is there and takes a
/// file, no output is what the command reads, no two are the same. Empty names are passed over, and so are
/// devices and pipes. Throws InputError otherwise.
void check_outputs(std::initializer_list<std::string> outputs, std::initializer_list<std::string> inputs);

/// For reports: null where a value is no finite number, which JSON has not.
nlohmann::json number(double value);

/// Writes JSON in one step; nothing for an empty path. Bytes of names that are no UTF-8 become U+FFFD.
/// `indent` is the blanks a level; -1 writes one line.
void write_json(const std::string& path, const nlohmann::json& value, int indent = 1);

}  // namespace quboprune
