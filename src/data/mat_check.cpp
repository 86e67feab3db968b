// "MAT-File Format" (The MathWorks), level 5; "HDF5 File Format Specification", version 3, II.A (superblock).
#include "data/mat_check.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

constexpr std::uint64_t header_size = 128;  // of version 5: text, version, byte order
constexpr std::uint64_t hdf5_begin = 512;   // of version 7.3, behind a header like that

/// `length` bytes at `place` as a little-endian number; 0 where the file ends before.
std::uint64_t number_at(std::ifstream& file, std::uint64_t place, std::size_t length,
                        bool big_endian = false) {
  std::array<unsigned char, 8> bytes{};
  file.clear();
  file.seekg(static_cast<std::streamoff>(place));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(length));
  if (big_endian) std::reverse(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
  std::uint64_t value = 0;
  for (std::size_t i = length; i > 0; --i) value = value << 8U | bytes[i - 1];
  return value;
}

/// Whether the zlib stream of so many bytes at `place` unpacks to what its checksum says.
bool unpacks(std::ifstream& file, std::uint64_t place, std::uint64_t length) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw InternalError("zlib can't be started");
  std::vector<unsigned char> packed(1U << 18U), unpacked(1U << 20U);
  int status = Z_OK;
  file.clear();
  file.seekg(static_cast<std::streamoff>(place));
  while (status == Z_OK && length > 0) {
    file.read(reinterpret_cast<char*>(packed.data()),
              static_cast<std::streamsize>(std::min<std::uint64_t>(packed.size(), length)));
    if (file.gcount() <= 0) break;
    length -= static_cast<std::uint64_t>(file.gcount());
    stream.next_in = packed.data();
    stream.avail_in = static_cast<uInt>(file.gcount());
    do {
      stream.next_out = unpacked.data();
      stream.avail_out = static_cast<uInt>(unpacked.size());
      status = inflate(&stream, Z_NO_FLUSH);
    } while (status == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
    if (status == Z_BUF_ERROR) status = Z_OK;  // it wants more, and has filled what it had
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END;
}

/// Where the last of the variables ends: each begins with its type and its length, four bytes each.
std::uint64_t end_of_version_5(std::ifstream& file, std::uint64_t size, const std::string& name) {
  constexpr std::uint64_t compressed = 15;
  const bool big_endian = number_at(file, 126, 1) == 'M';
  std::uint64_t place = header_size;
  while (place + 8 <= size) {
    const std::uint64_t length = number_at(file, place + 4, 4, big_endian);
    const bool whole = place + 8 + length <= size;
    if (whole && number_at(file, place, 4, big_endian) == compressed && !unpacks(file, place + 8, length))
      throw InputError(name + ": the compressed data are damaged; fetch it again");
    place += 8 + length;
  }
  return place;
}

/// HDF5 keeps the length that the file should have.
std::uint64_t end_of_version_73(std::ifstream& file) {
  const std::uint64_t version = number_at(file, hdf5_begin + 8, 1);
  constexpr std::array<std::uint64_t, 4> end_field{40, 44, 28, 28};
  return version < end_field.size() ? number_at(file, hdf5_begin + end_field[version], 8) : 0;
}

}  // namespace

void check_mat_is_whole(const std::filesystem::path& path) {
  std::ifstream file = open_file(path);
  const std::uint64_t size = std::filesystem::file_size(path);
  constexpr std::uint64_t hdf5_mark = 0x0A1A0A0D46444889;  // "\x89HDF\r\n\x1a\n"
  const std::uint64_t version = number_at(file, 125, 1) | number_at(file, 124, 1);
  std::uint64_t end = 0;  // neither format: matio will say so
  if (number_at(file, hdf5_begin, 8) == hdf5_mark)
    end = end_of_version_73(file);
  else if (version == 1)
    end = end_of_version_5(file, size, path.string());
  // Both count from the file's beginning; a version 5 file may lack the padding of its last variable.
  if (end > size + 7) throw InputError(path.string() + ": the file is cut short; fetch it again");
}

}  // namespace quboprune
