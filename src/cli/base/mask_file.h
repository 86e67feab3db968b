#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "quboprune/mask.h"

namespace quboprune {

/// A solution of `size` variables: the report of `quboprune solve` (its "x"), a JSON list, or plain text,
/// each of 0s and 1s in the order of the variables. 1 = kept. Throws InputError (file, what is wrong, what to
/// do).
Mask read_mask(const std::filesystem::path& path, int size);

/// The same from memory; `name` stands for the file in messages.
Mask parse_mask(std::string_view text, const std::string& name, int size);

}  // namespace quboprune
