#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "quboprune/scores.h"

namespace quboprune {

/// Keeps scores in a file of the work folder (CBOR), under a key that names all they depend on.
void store_scores(const std::filesystem::path& path, const std::string& key, const Scores& scores);

/// Those scores, if the file is there, undamaged, and was written under the same key.
std::optional<Scores> stored_scores(const std::filesystem::path& path, const std::string& key);

}  // namespace quboprune
