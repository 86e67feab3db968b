#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace quboprune {

/// Keeps a value in a file (CBOR behind its SHA-256), under a key that names all that it depends on. Throws
/// InputError as write_file_atomically() does.
void store_json(const std::filesystem::path& path, const std::string& key, nlohmann::json value);

/// The same where the result must not be lost to a disk that is full: why it couldn't be kept, empty if it
/// was.
std::string try_to_store_json(const std::filesystem::path& path, const std::string& key,
                              nlohmann::json value);

/// That value, if the file is there, undamaged, and was written under the same key; otherwise null.
nlohmann::json stored_json(const std::filesystem::path& path, const std::string& key);

}  // namespace quboprune
