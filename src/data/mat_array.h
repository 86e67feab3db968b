#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace quboprune {

/// A variable of a MATLAB file, version 5 or 7.3: uint8 numbers with five indices, the first running fastest.
/// Files of version 7.3 may come from other programs than MATLAB: what HDF5 says of the type counts.
class MatArray {
 public:
  /// Reads what it is, not its numbers. Throws InputError naming `path` unless the file is whole and has a
  /// uint8 variable of that name with five indices.
  MatArray(std::filesystem::path path, std::string name);

  const std::array<int, 5>& sizes() const { return sizes_; }
  /// All numbers. Throws InputError where they can't be read.
  std::vector<unsigned char> values() const;

 private:
  std::size_t count() const;

  std::filesystem::path path_;
  std::string name_;
  bool hdf5_ = false;
  std::array<int, 5> sizes_{};
};

}  // namespace quboprune
