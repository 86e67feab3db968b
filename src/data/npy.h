#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace quboprune {

/// The array of a .npy file (NumPy's format, versions 1-3), C or Fortran order, little-endian; types u1, i1,
/// i2, i4, i8, f2, f4, f8, b1, and u2 (as int32). Copied: independent of the file.
/// Throws InputError naming the file if it is damaged or of another type.
at::Tensor read_npy(const std::filesystem::path& path);

/// The arrays of a .npz file (a zip of .npy files, stored or deflated, with or without zip64), by name
/// without ".npy". Entries that aren't .npy files are passed over; where some are `wanted`, others are there
/// by name alone. Throws InputError naming the file, and the array, if it is damaged, encrypted or of another
/// type.
std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path,
                                           const std::set<std::string>& wanted = {});

/// Writes float32 and int64 arrays so that read_npz and NumPy read them, in one step, uncompressed.
/// Throws InputError if the file can't be written or would be larger than 4 GB.
void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays);

}  // namespace quboprune
