#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace quboprune {

/// The files in a zip archive by name: those that are wanted, unpacked, and nothing of the others. Stored and
/// deflated entries, zip64; checked by their CRC. Throws InputError naming the archive if it is damaged,
/// encrypted or packed in another way.
std::map<std::string, std::vector<unsigned char>> read_zip(
    const std::filesystem::path& path, const std::function<bool(const std::string& name)>& wanted);

}  // namespace quboprune
