// Reads zip archives by their central directory (APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3 and 4.5.3).
#include "data/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using Bytes = std::vector<unsigned char>;

constexpr std::uint32_t end_mark = 0x06054B50;
constexpr std::uint32_t end64_mark = 0x06064B50;
constexpr std::uint32_t end64_locator_mark = 0x07064B50;
constexpr std::uint32_t entry_mark = 0x02014B50;
constexpr std::uint32_t local_mark = 0x04034B50;

/// Little-endian numbers at checked places.
class Reader {
 public:
  Reader(const Bytes& bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  [[noreturn]] void refuse(const std::string& why) const { throw InputError(file_ + ": " + why); }
  const unsigned char* at(std::uint64_t place, std::uint64_t length) const {
    if (place > bytes_.size() || length > bytes_.size() - place)
      refuse("the archive is cut short or damaged");
    return bytes_.data() + place;
  }
  std::uint64_t number(std::uint64_t place, int length) const {
    const unsigned char* from = at(place, static_cast<std::uint64_t>(length));
    std::uint64_t value = 0;
    for (int i = length - 1; i >= 0; --i) value = value << 8U | from[i];
    return value;
  }
  std::uint64_t size() const { return bytes_.size(); }

 private:
  const Bytes& bytes_;
  std::string file_;
};

struct Directory {
  std::uint64_t place = 0;
  std::uint64_t entries = 0;
};

Directory find_directory(const Reader& zip) {
  constexpr std::uint64_t end_size = 22;
  constexpr std::uint64_t longest_comment = 65535;
  if (zip.size() < end_size) zip.refuse("isn't a zip archive");
  const std::uint64_t last = zip.size() - end_size;
  for (std::uint64_t back = 0; back <= std::min(last, longest_comment); ++back) {
    const std::uint64_t end = last - back;
    if (zip.number(end, 4) != end_mark) continue;
    Directory result{zip.number(end + 16, 4), zip.number(end + 10, 2)};
    if (end >= 20 && zip.number(end - 20, 4) == end64_locator_mark) {
      const std::uint64_t end64 = zip.number(end - 12, 8);
      if (zip.number(end64, 4) != end64_mark) zip.refuse("the archive is damaged");
      result = {zip.number(end64 + 48, 8), zip.number(end64 + 32, 8)};
    }
    return result;
  }
  zip.refuse("isn't a zip archive, or is cut short");
}

struct Entry {
  std::string name;
  std::uint64_t method = 0, crc = 0, packed = 0, size = 0, local = 0;
};

/// Sizes and places of 0xFFFFFFFF stand in the zip64 field instead, in this order.
void read_zip64(const Reader& zip, Entry& entry, std::uint64_t extra, std::uint64_t length) {
  const std::uint64_t end = extra + length;
  while (extra + 4 <= end) {
    const std::uint64_t field = zip.number(extra, 2);
    const std::uint64_t field_length = zip.number(extra + 2, 2);
    std::uint64_t place = extra + 4;
    if (field == 1)
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.local})
        if (*value == 0xFFFFFFFFU) {
          *value = zip.number(place, 8);
          place += 8;
        }
    extra += 4 + field_length;
  }
}

Bytes inflate_entry(const Reader& zip, const Entry& entry, const unsigned char* packed) {
  // Deflate gains at most about 1032 to 1: a larger claim is a damaged entry, not worth its memory.
  if (entry.size > 1100 * entry.packed + 1024 || entry.size > std::numeric_limits<uInt>::max() ||
      entry.packed > std::numeric_limits<uInt>::max())
    zip.refuse(entry.name + ": can't be unpacked (damaged, or above 4 GB; store it uncompressed)");
  Bytes result(entry.size);
  z_stream stream{};
  stream.next_in = const_cast<unsigned char*>(packed);  // zlib doesn't write to it
  stream.avail_in = static_cast<uInt>(entry.packed);
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(entry.size);
  check(inflateInit2(&stream, -MAX_WBITS) == Z_OK, "zlib couldn't start");
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (status != Z_STREAM_END || stream.total_out != entry.size) zip.refuse(entry.name + ": is damaged");
  return result;
}

Bytes unpack(const Reader& zip, const Entry& entry) {
  if (zip.number(entry.local, 4) != local_mark) zip.refuse("the archive is damaged");
  const std::uint64_t data =
      entry.local + 30 + zip.number(entry.local + 26, 2) + zip.number(entry.local + 28, 2);
  const unsigned char* packed = zip.at(data, entry.packed);
  if (entry.method != 0 && entry.method != 8) zip.refuse(entry.name + ": is packed in a way that isn't read");
  if (entry.method == 0 && entry.packed != entry.size) zip.refuse(entry.name + ": is damaged");
  Bytes result = entry.method == 0 ? Bytes(packed, packed + entry.packed) : inflate_entry(zip, entry, packed);
  if (crc32_z(0, result.data(), result.size()) != entry.crc)
    zip.refuse(entry.name + ": is damaged (checksum)");
  return result;
}

}  // namespace

std::map<std::string, Bytes> read_zip(const std::filesystem::path& path,
                                      const std::function<bool(const std::string&)>& wanted) {
  std::ifstream file = open_file(path);
  const Bytes bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const Reader zip(bytes, path.string());
  Directory directory = find_directory(zip);
  std::map<std::string, Bytes> result;
  std::uint64_t at = directory.place;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (zip.number(at, 4) != entry_mark) zip.refuse("the archive is damaged");
    if ((zip.number(at + 8, 2) & 1U) != 0) zip.refuse("the archive is encrypted");
    const std::uint64_t name_length = zip.number(at + 28, 2);
    const std::uint64_t extra_length = zip.number(at + 30, 2);
    Entry entry{std::string(reinterpret_cast<const char*>(zip.at(at + 46, name_length)), name_length),
                zip.number(at + 10, 2),
                zip.number(at + 16, 4),
                zip.number(at + 20, 4),
                zip.number(at + 24, 4),
                zip.number(at + 42, 4)};
    read_zip64(zip, entry, at + 46 + name_length, extra_length);
    result[entry.name] = wanted(entry.name) ? unpack(zip, entry) : Bytes();
    at += 46 + name_length + extra_length + zip.number(at + 32, 2);
  }
  return result;
}

}  // namespace quboprune
