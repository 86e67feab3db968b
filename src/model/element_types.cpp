#include "model/element_types.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "quboprune/error.h"

namespace quboprune {
namespace {

struct Storage {
  at::ScalarType type;
  int bits;
  bool widened;
};

const std::map<int, Storage>& storages() {
  static const std::map<int, Storage> table = {{element::float32, {at::kFloat, 32, false}},
                                               {element::float64, {at::kDouble, 64, false}},
                                               {element::float16, {at::kHalf, 16, false}},
                                               {element::bfloat16, {at::kBFloat16, 16, false}},
                                               {element::int64, {at::kLong, 64, false}},
                                               {element::int32, {at::kInt, 32, false}},
                                               {element::int16, {at::kShort, 16, false}},
                                               {element::int8, {at::kChar, 8, false}},
                                               {element::uint8, {at::kByte, 8, false}},
                                               {element::boolean, {at::kBool, 8, false}},
                                               {element::uint16, {at::kInt, 16, true}},
                                               {element::uint32, {at::kLong, 32, true}},
                                               {element::uint64, {at::kLong, 64, true}},
                                               {element::uint4, {at::kByte, 4, true}},
                                               {element::int4, {at::kChar, 4, true}},
                                               {element::uint2, {at::kByte, 2, true}},
                                               {element::int2, {at::kChar, 2, true}},
                                               {element::float8_e4m3fn, {at::kFloat, 8, true}},
                                               {element::float8_e4m3fnuz, {at::kFloat, 8, true}},
                                               {element::float8_e5m2, {at::kFloat, 8, true}},
                                               {element::float8_e5m2fnuz, {at::kFloat, 8, true}},
                                               {element::float4_e2m1, {at::kFloat, 4, true}},
                                               {element::float8_e8m0, {at::kFloat, 8, true}}};
  return table;
}

const Storage* find(int type) {
  const auto found = storages().find(type);
  return found == storages().end() ? nullptr : &found->second;
}

/// Layout of an 8- or 4-bit float: sign, exponent, mantissa.
struct Layout {
  int mantissa, bias;
  bool infinite, unsigned_zero;  // has infinities; "fnuz": one zero, its sign bit alone is NaN
};

std::optional<Layout> layout_of(int type) {
  switch (type) {
    case element::float8_e4m3fn:
      return Layout{3, 7, false, false};
    case element::float8_e4m3fnuz:
      return Layout{3, 8, false, true};
    case element::float8_e5m2:
      return Layout{2, 15, true, false};
    case element::float8_e5m2fnuz:
      return Layout{2, 16, false, true};
    case element::float4_e2m1:
      return Layout{1, 1, false, false};
    default:
      return std::nullopt;
  }
}

float value_of(int code, int type, const Layout& layout) {
  const int bits = bits_of(type);
  const int sign = code >> (bits - 1);
  const int rest = code & ((1 << (bits - 1)) - 1);
  const int exponent = rest >> layout.mantissa;
  const int mantissa = rest & ((1 << layout.mantissa) - 1);
  const int top = (1 << (bits - 1 - layout.mantissa)) - 1;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  if (layout.unsigned_zero && sign == 1 && rest == 0) return nan;
  if (layout.infinite && exponent == top)
    return mantissa != 0 ? nan : (sign ? -1.0F : 1.0F) * std::numeric_limits<float>::infinity();
  if (type == element::float8_e4m3fn && rest == 0x7F) return nan;
  const double fraction = std::ldexp(mantissa, -layout.mantissa);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - layout.bias)
                                         : std::ldexp(1 + fraction, exponent - layout.bias);
  return static_cast<float>(sign ? -magnitude : magnitude);
}

std::vector<float> all_values(int type) {
  std::vector<float> result;
  if (type == element::float8_e8m0) {
    for (int code = 0; code < 255; ++code) result.push_back(static_cast<float>(std::ldexp(1.0, code - 127)));
    result.push_back(std::numeric_limits<float>::quiet_NaN());
  } else if (const auto layout = layout_of(type)) {
    for (int code = 0; code < 1 << bits_of(type); ++code) result.push_back(value_of(code, type, *layout));
  }
  return result;
}

/// To the nearest value, ties to the even code; the codes of positive values ascend with them.
float round_narrow(float x, int type, const std::vector<float>& values, const Rounding& rounding) {
  if (std::isnan(x)) return type == element::float4_e2m1 ? -0.0F : x;  // has no NaN
  const std::size_t half = values.size() / 2;
  std::size_t count = 0;  // finite positive values are values[0, count)
  while (count < half && std::isfinite(values[count])) ++count;
  const double magnitude = std::abs(static_cast<double>(x));
  const double largest = values[count - 1];
  const double step = largest - values[count - 2];
  double result = 0;
  if (magnitude > largest) {
    const bool beyond = magnitude > largest + step / 2 || (magnitude == largest + step / 2 && count % 2 == 0);
    result = largest;
    if (beyond && !rounding.saturate && type != element::float4_e2m1)
      result = type == element::float8_e5m2 ? INFINITY : NAN;
  } else {
    const auto above = static_cast<std::size_t>(
        std::lower_bound(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count), magnitude) -
        values.begin());
    result = values[above];
    if (above > 0) {
      const double low = magnitude - values[above - 1];
      const double high = values[above] - magnitude;
      if (low < high || (low == high && above % 2 == 1)) result = values[above - 1];
    }
  }
  if (result == 0 && (type == element::float8_e4m3fnuz || type == element::float8_e5m2fnuz)) return 0;
  return static_cast<float>(std::signbit(x) ? -result : result);
}

float round_power(float x, const Rounding& rounding) {
  if (std::isnan(x) || x < 0) return NAN;
  if (std::isinf(x)) return rounding.saturate ? std::ldexp(1.0F, 127) : NAN;
  if (x <= std::ldexp(1.0F, -127)) return std::ldexp(1.0F, -127);
  int exponent = 0;
  const float fraction = std::frexp(x, &exponent);  // [0.5, 1)
  --exponent;
  const bool up =
      rounding.direction == 'u' ? fraction > 0.5F : rounding.direction == 'n' && fraction >= 0.75F;
  if (up) ++exponent;
  if (exponent > 127) return rounding.saturate ? std::ldexp(1.0F, 127) : NAN;
  return std::ldexp(1.0F, exponent);
}

at::Tensor to_narrow(const at::Tensor& tensor, int type, const Rounding& rounding) {
  at::Tensor result = tensor.detach().to(at::kCPU, at::kFloat).contiguous().clone();
  auto* data = static_cast<float*>(result.data_ptr());
  const auto& values = narrow_values(type);
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    data[i] = type == element::float8_e8m0 ? round_power(data[i], rounding)
                                           : round_narrow(data[i], type, values, rounding);
  }
  return result;
}

/// The low bits of each value, as two's complement where the type is signed.
at::Tensor wrapped(const at::Tensor& tensor, int type) {
  const int bits = bits_of(type);
  at::Tensor whole = tensor.to(at::kLong);
  if (bits < 64) {
    whole = at::bitwise_and(whole, (std::int64_t{1} << bits) - 1);
    if (type == element::int4 || type == element::int2)
      whole = at::where(whole >= (1 << (bits - 1)), whole - (1 << bits), whole);
  }
  return whole.to(*held_type(type));
}

}  // namespace

std::optional<at::ScalarType> held_type(int type) {
  const Storage* storage = find(type);
  return storage ? std::optional(storage->type) : std::nullopt;
}

int bits_of(int type) {
  const Storage* storage = find(type);
  return storage ? storage->bits : 0;
}

bool is_widened(int type) {
  const Storage* storage = find(type);
  return storage && storage->widened;
}

const std::vector<float>& narrow_values(int type) {
  static const std::map<int, std::vector<float>> tables = [] {
    std::map<int, std::vector<float>> result;
    for (int t = element::float8_e4m3fn; t <= element::float8_e8m0; ++t) result[t] = all_values(t);
    return result;
  }();
  static const std::vector<float> none;
  const auto found = tables.find(type);
  return found == tables.end() ? none : found->second;
}

at::Tensor widened(const at::Tensor& tensor) {
  const bool half = tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
  return half ? tensor.to(at::kFloat) : tensor;
}

at::Tensor cast_to(const at::Tensor& tensor, int type, const Rounding& rounding) {
  const Storage* storage = find(type);
  if (!storage) throw InputError("element type " + std::to_string(type) + " isn't supported");
  if (!narrow_values(type).empty()) return to_narrow(tensor, type, rounding);
  if (storage->widened) return wrapped(tensor, type);
  if (storage->type == at::kBool) return tensor.ne(0);
  return tensor.to(storage->type);
}

}  // namespace quboprune
