#include "model/tensor_proto.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdint>

#include "model/element_types.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using onnx::TensorProto;

[[noreturn]] void fail(const TensorProto& proto, const std::string& what) {
  throw InputError("tensor '" + proto.name() + "': " + what +
                   "; the file is damaged or cut short: export it again");
}

template <class Field>
at::Tensor from_list(const TensorProto& proto, const Field& field, at::ScalarType type, std::int64_t count) {
  if (field.size() != count)
    fail(proto, "holds " + std::to_string(field.size()) + " of " + std::to_string(count) + " values");
  at::Tensor wide =
      at::empty({count}, sizeof(typename Field::value_type) == 8 && type != at::kDouble ? at::kLong
                         : type == at::kDouble                                          ? at::kDouble
                         : type == at::kFloat                                           ? at::kFloat
                                                                                        : at::kInt);
  std::copy(field.begin(), field.end(), static_cast<typename Field::value_type*>(wide.data_ptr()));
  if (type == at::kHalf || type == at::kBFloat16)
    return wide.to(at::kShort).view(type);  // stored as bit patterns
  return wide.to(type);
}

at::Tensor listed(const TensorProto& proto, at::ScalarType type, std::int64_t count) {
  switch (type) {
    case at::kFloat:
      return from_list(proto, proto.float_data(), type, count);
    case at::kDouble:
      return from_list(proto, proto.double_data(), type, count);
    case at::kLong:
      return from_list(proto, proto.int64_data(), type, count);
    default:
      return from_list(proto, proto.int32_data(), type, count);
  }
}

/// Bytes of the values: `count` of `bits` each, the last byte filled up.
std::size_t bytes_for(std::int64_t count, int bits) {
  return (static_cast<std::size_t>(count) * static_cast<std::size_t>(bits) + 7) / 8;
}

/// Values that LibTorch holds in a wider type, from the file's little-endian bytes.
at::Tensor widened(const std::string& bytes, int element, const std::vector<std::int64_t>& shape) {
  const int bits = bits_of(element);
  const auto& narrow = narrow_values(element);
  at::Tensor codes = at::empty(shape, at::kLong);
  auto* data = static_cast<std::int64_t*>(codes.data_ptr());
  at::Tensor floats = narrow.empty() ? at::Tensor() : at::empty(shape, at::kFloat);
  for (std::int64_t i = 0; i < codes.numel(); ++i) {
    const std::size_t bit = static_cast<std::size_t>(i) * static_cast<std::size_t>(bits);
    std::uint64_t code = 0;
    for (int k = 0; k < (bits + 7) / 8; ++k) {
      const auto byte = static_cast<unsigned char>(bytes[bit / 8 + static_cast<std::size_t>(k)]);
      code |= std::uint64_t{byte} << (8 * k);
    }
    if (bits < 8) code = (code >> (bit % 8)) & ((1U << bits) - 1);
    data[i] = static_cast<std::int64_t>(code);
    if (floats.defined()) static_cast<float*>(floats.data_ptr())[i] = narrow[code];
  }
  return floats.defined() ? floats : cast_to(codes, element);
}

/// The same from one of the proto's lists, which hold one code (of less than 8 bits: one byte) an entry.
std::string listed_bytes(const TensorProto& proto, std::int64_t count, int bits) {
  std::string bytes;
  const auto put = [&](std::uint64_t code, int width) {
    for (int k = 0; k < width; ++k) bytes.push_back(static_cast<char>(code >> (8 * k)));
  };
  for (auto code : proto.int32_data()) put(static_cast<std::uint64_t>(code), std::max(1, bits / 8));
  for (auto code : proto.uint64_data()) put(code, bits / 8);
  if (bytes.size() != bytes_for(count, bits))
    fail(proto, "holds " + std::to_string(bytes.size()) + " bytes of values instead of " +
                    std::to_string(bytes_for(count, bits)));
  return bytes;
}

std::vector<std::int64_t> shape_of(const TensorProto& proto) {
  std::int64_t count = 1;
  std::vector<std::int64_t> shape;
  for (auto d : proto.dims()) {
    if (d < 0 || (d > 0 && count > (std::int64_t{1} << 40) / d)) fail(proto, "its shape is impossible");
    shape.push_back(d);
    count *= std::max<std::int64_t>(1, d);
  }
  return shape;
}

}  // namespace

StoredBytes DataFiles::find(const TensorProto& proto, std::size_t expected) {
  std::string location;
  StoredBytes result{nullptr, 0, expected};
  try {
    for (const auto& entry : proto.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset") result.offset = std::stoull(entry.value());
    }
  } catch (const std::exception&) {
    fail(proto, "the offset of its external data isn't a number");
  }
  const std::filesystem::path relative(location);
  bool outside = relative.is_absolute() || location.empty();
  for (const auto& part : relative) outside = outside || part == "..";
  if (outside) fail(proto, "external data '" + location + "' isn't inside the model's folder");
  auto& file = files_[location];
  if (!file) file = StoredFile::open(folder_ / relative);
  if (!file) {
    throw InputError("tensor '" + proto.name() + "': no file " + (folder_ / relative).string() +
                     " for its external data; put it beside the model");
  }
  if (result.offset > file->size() || expected > file->size() - result.offset)
    fail(proto, "its external data is too short");
  result.file = file;
  return result;
}

bool DataFiles::stays(const StoredBytes& bytes) const {
  return bytes.size >= kStoredBytes && bytes.file->size() > in_memory_;
}

Constant constant_from(const TensorProto& proto, const std::shared_ptr<const void>& owner, DataFiles& files,
                       StoredBytes stored) {
  const auto type = held_type(proto.data_type());
  if (!type) return {};
  const auto shape = shape_of(proto);
  std::int64_t count = 1;
  for (auto d : shape) count *= d;
  const std::size_t expected = bytes_for(count, bits_of(proto.data_type()));
  if (proto.data_location() == TensorProto::EXTERNAL) stored = files.find(proto, expected);
  if (stored.file || proto.has_raw_data()) {
    const std::size_t held = stored.file ? stored.size : proto.raw_data().size();
    if (held != expected)
      fail(proto, "holds " + std::to_string(held) + " of " + std::to_string(expected) + " bytes");
  }
  const bool odd = is_widened(proto.data_type());
  if (stored.file && !odd && files.stays(stored))
    return {shape, *type, [stored](void* to) { stored.file->read(stored.offset, to, stored.size); }};
  if (stored.file) {
    const auto bytes = std::make_shared<std::string>(expected, '\0');
    stored.file->read(stored.offset, bytes->data(), expected);
    if (odd) return widened(*bytes, proto.data_type(), shape);
    return at::from_blob(
        bytes->data(), shape, [bytes](void*) {}, *type);
  }
  if (odd) {
    return widened(
        proto.has_raw_data() ? proto.raw_data() : listed_bytes(proto, count, bits_of(proto.data_type())),
        proto.data_type(), shape);
  }
  if (proto.has_raw_data()) {
    // LibTorch takes no pointer to constant data; nothing writes through it.
    return at::from_blob(
        const_cast<char*>(proto.raw_data().data()), shape, [owner](void*) {}, *type);
  }
  return listed(proto, *type, count).view(shape);
}

void embed(TensorProto& proto, DataFiles& files) {
  if (proto.data_location() != TensorProto::EXTERNAL || !held_type(proto.data_type())) return;
  std::int64_t count = 1;
  for (auto d : shape_of(proto)) count *= d;
  const StoredBytes stored = files.find(proto, bytes_for(count, bits_of(proto.data_type())));
  std::string bytes(stored.size, '\0');
  stored.file->read(stored.offset, bytes.data(), stored.size);
  proto.set_raw_data(std::move(bytes));
  proto.clear_external_data();
  proto.clear_data_location();
}

int element_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return TensorProto::FLOAT;
    case at::kDouble:
      return TensorProto::DOUBLE;
    case at::kHalf:
      return TensorProto::FLOAT16;
    case at::kBFloat16:
      return TensorProto::BFLOAT16;
    case at::kLong:
      return TensorProto::INT64;
    case at::kInt:
      return TensorProto::INT32;
    case at::kShort:
      return TensorProto::INT16;
    case at::kChar:
      return TensorProto::INT8;
    case at::kByte:
      return TensorProto::UINT8;
    case at::kBool:
      return TensorProto::BOOL;
    default:
      throw InternalError("a tensor of a type that ONNX doesn't have");
  }
}

void write_header(TensorProto& proto, const Constant& constant) {
  // Name, doc string and what newer versions of the format add (metadata) stay.
  proto.clear_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_int64_data();
  proto.clear_uint64_data();
  proto.clear_double_data();
  proto.clear_string_data();
  proto.clear_external_data();
  proto.clear_data_location();
  proto.clear_segment();
  proto.clear_dims();
  proto.set_data_type(element_of(constant.scalar_type()));
  for (auto d : constant.sizes()) proto.add_dims(d);
}

void write_tensor(TensorProto& proto, const at::Tensor& tensor) {
  write_header(proto, tensor);
  const at::Tensor plain = tensor.detach().contiguous();
  proto.set_raw_data(plain.data_ptr(), plain.nbytes());
}

}  // namespace quboprune
