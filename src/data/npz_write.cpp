// Arrays as NumPy's savez writes them: a zip archive (APPNOTE.TXT 6.3.10 of PKWARE, 4.3) of .npy files,
// stored.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <zlib.h>

#include <cstdint>
#include <limits>

#include "data/npy.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

std::string little_endian(std::uint64_t value, int length) {
  std::string result;
  for (int i = 0; i < length; ++i) result += static_cast<char>(value >> (8 * i) & 0xFFU);
  return result;
}

std::string npy_of(const at::Tensor& array) {
  check(array.scalar_type() == at::kLong || array.scalar_type() == at::kFloat,
        "arrays are written as int64 or float32");
  const at::Tensor whole = array.contiguous();
  std::string shape;
  for (const auto length : whole.sizes()) shape += fmt::format("{},", length);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   whole.scalar_type() == at::kLong ? "<i8" : "<f4", shape);
  constexpr std::size_t before = 10;  // magic, version and the header's length; the data then start at 64 k
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  return "\x93NUMPY" + little_endian(1, 2) + little_endian(header.size(), 2) + header +
         std::string(static_cast<const char*>(whole.data_ptr()), whole.nbytes());
}

}  // namespace

void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays) {
  std::string archive, directory;
  for (const auto& [array, values] : arrays) {
    const std::string name = array + ".npy";
    const std::string data = npy_of(values);
    constexpr std::size_t kHeaders = 128;  // of an entry, its own and the directory's, without its name
    if (archive.size() + directory.size() + data.size() + 2 * name.size() + kHeaders >
        std::numeric_limits<std::uint32_t>::max())
      throw InputError(path.string() + ": more than 4 GB; save fewer or smaller samples");
    const auto crc =
        crc32_z(0, reinterpret_cast<const unsigned char*>(data.data()), static_cast<z_size_t>(data.size()));
    // Version 2.0, no flags, stored, no date; then checksum, both sizes, and the length of the name.
    const std::string common = little_endian(20, 2) + little_endian(0, 8) + little_endian(crc, 4) +
                               little_endian(data.size(), 4) + little_endian(data.size(), 4) +
                               little_endian(name.size(), 2) + little_endian(0, 2);
    directory += little_endian(0x02014B50, 4) + little_endian(20, 2) + common + little_endian(0, 10) +
                 little_endian(archive.size(), 4) + name;
    archive += little_endian(0x04034B50, 4) + common + name + data;
  }
  const std::string end = little_endian(0x06054B50, 4) + little_endian(0, 4) +
                          little_endian(arrays.size(), 2) + little_endian(arrays.size(), 2) +
                          little_endian(directory.size(), 4) + little_endian(archive.size(), 4) +
                          little_endian(0, 2);
  write_file_atomically(path, archive + directory + end);
}

}  // namespace quboprune
