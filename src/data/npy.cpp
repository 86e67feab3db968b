#include "data/npy.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "data/zip.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using Bytes = std::vector<unsigned char>;

/// What the header of a .npy file says, a Python dictionary like
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
struct Header {
  std::string type;
  bool fortran = false;
  std::vector<std::int64_t> shape;
};

std::string_view value_of(std::string_view header, std::string_view key, const std::string& name) {
  const auto found = header.find(key);
  if (found == std::string_view::npos)
    throw InputError(name + ": isn't a .npy array (its header is damaged)");
  const auto colon = header.find(':', found + key.size());
  if (colon == std::string_view::npos)
    throw InputError(name + ": isn't a .npy array (its header is damaged)");
  const auto from = header.find_first_not_of(' ', colon + 1);
  return from == std::string_view::npos ? std::string_view() : header.substr(from);
}

std::vector<std::int64_t> parse_shape(std::string_view text, const std::string& name) {
  std::vector<std::int64_t> shape;
  const auto end = text.find(')');
  if (text.empty() || text.front() != '(' || end == std::string_view::npos)
    throw InputError(name + ": isn't a .npy array (its shape is damaged)");
  text = text.substr(1, end - 1);
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text = text.substr(std::min(comma + 1, text.size()));
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    if (part.empty()) continue;
    std::int64_t length = -1;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), length);
    if (error != std::errc{} || length < 0)
      throw InputError(name + ": isn't a .npy array (its shape is damaged)");
    shape.push_back(length);
  }
  return shape;
}

Header parse_header(std::string_view text, const std::string& name) {
  Header result;
  const std::string_view type = value_of(text, "'descr'", name);
  if (type.size() < 2 || type.front() != '\'')
    throw InputError(name + ": its elements are records; use plain numbers");
  result.type = type.substr(1, type.find('\'', 1) - 1);
  result.fortran = value_of(text, "'fortran_order'", name).substr(0, 4) == "True";
  result.shape = parse_shape(value_of(text, "'shape'", name), name);
  return result;
}

struct ElementType {
  at::ScalarType scalar = at::kFloat;
  std::int64_t bytes = 0;
  bool unsigned_16 = false;
};

ElementType element_type(const std::string& type, const std::string& name) {
  static const std::vector<std::pair<std::string, ElementType>> known{
      {"u1", {at::kByte, 1}},   {"i1", {at::kChar, 1}},       {"b1", {at::kBool, 1}}, {"i2", {at::kShort, 2}},
      {"i4", {at::kInt, 4}},    {"i8", {at::kLong, 8}},       {"f2", {at::kHalf, 2}}, {"f4", {at::kFloat, 4}},
      {"f8", {at::kDouble, 8}}, {"u2", {at::kShort, 2, true}}};
  for (const auto& [text, element] : known)
    if (type.size() == 3 && type.substr(1) == text && (type[0] == '<' || type[0] == '|')) return element;
  throw InputError(name + ": its elements are of type '" + type +
                   "'; use float32, int64 or uint8, little-endian");
}

/// The number of elements; a damaged header may claim more than the file could hold.
std::int64_t element_count(const Header& header, std::int64_t available, const std::string& name) {
  std::int64_t count = 1;
  for (const std::int64_t length : header.shape) {
    if (length > 0 && count > available / length) throw InputError(name + ": is cut short");
    count *= length;
  }
  return count;
}

at::Tensor parse_npy(const unsigned char* data, std::size_t size, const std::string& name) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (size < 12 || std::memcmp(data, magic.data(), magic.size()) != 0)
    throw InputError(name + ": isn't a .npy array");
  const bool short_header = data[6] == 1;
  std::size_t length = data[8] | static_cast<std::size_t>(data[9]) << 8U;
  if (!short_header)
    length |= static_cast<std::size_t>(data[10]) << 16U | static_cast<std::size_t>(data[11]) << 24U;
  const std::size_t begin = short_header ? 10 : 12;
  if (length > size - begin) throw InputError(name + ": is cut short");
  const Header header = parse_header({reinterpret_cast<const char*>(data + begin), length}, name);
  const ElementType element = element_type(header.type, name);
  const auto available = static_cast<std::int64_t>(size - begin - length) / element.bytes;
  const std::int64_t count = element_count(header, available, name);
  if (count > available) throw InputError(name + ": is cut short");
  std::vector<std::int64_t> shape = header.shape;
  if (header.fortran) std::reverse(shape.begin(), shape.end());
  at::Tensor result = at::empty(shape, element.scalar);
  if (count > 0)
    std::memcpy(result.data_ptr(), data + begin + length, static_cast<std::size_t>(count * element.bytes));
  if (element.unsigned_16) result = result.to(at::kInt).bitwise_and_(0xFFFF);
  if (header.fortran) {
    std::vector<std::int64_t> axes(shape.size());
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(axes.size() - 1 - i);
    result = result.permute(axes).contiguous();
  }
  return result;
}

}  // namespace

at::Tensor read_npy(const std::filesystem::path& path) {
  std::ifstream file = open_file(path);
  const Bytes bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return parse_npy(bytes.data(), bytes.size(), path.string());
}

std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path,
                                           const std::set<std::string>& wanted) {
  constexpr std::string_view ending = ".npy";
  const auto is_array = [&](const std::string& name) {
    return name.size() > ending.size() && name.ends_with(ending);
  };
  const auto array_of = [&](const std::string& name) { return name.substr(0, name.size() - ending.size()); };
  const auto is_wanted = [&](const std::string& name) {
    return is_array(name) && (wanted.empty() || wanted.contains(array_of(name)));
  };
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, bytes] : read_zip(path, is_wanted)) {
    if (!is_array(name)) continue;
    const std::string array = array_of(name);
    result[array] = is_wanted(name)
                        ? parse_npy(bytes.data(), bytes.size(), path.string() + ", array '" + array + "'")
                        : at::Tensor();
  }
  return result;
}

}  // namespace quboprune
