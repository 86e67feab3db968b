#pragma once

#include <filesystem>

namespace quboprune {

/// Throws InputError if a MATLAB file (version 5 or 7.3) is shorter than its own headers say, or if what a
/// version 5 one holds compressed doesn't unpack to what its checksums say.
///
/// Asked before matio is: of a version 5 file that was cut short or damaged it returns what is there and
/// zeros for the rest, without an error; of a version 7.3 one, HDF5 prints its whole stack of errors.
void check_mat_is_whole(const std::filesystem::path& path);

}  // namespace quboprune
