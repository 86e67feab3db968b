#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace quboprune {

// ONNX element types (TensorProto.DataType) beyond those of the installed ONNX and LibTorch.
namespace element {
enum : int {
  float32 = 1,
  uint8,
  int8,
  uint16,
  int16,
  int32,
  int64,
  text,
  boolean,
  float16,
  float64,
  uint32,
  uint64,
  bfloat16 = 16,
  float8_e4m3fn,
  float8_e4m3fnuz,
  float8_e5m2,
  float8_e5m2fnuz,
  uint4,
  int4,
  float4_e2m1,
  float8_e8m0,
  uint2,
  int2
};
}  // namespace element

/// The LibTorch type that holds an element type's values: its own, or the next wider one for unsigned
/// integers of 16 bits and more, 4- and 2-bit integers, 8- and 4-bit floats. Nothing for strings, complex
/// numbers and what isn't known.
std::optional<at::ScalarType> held_type(int element);

/// Bits of one value in a file's raw data; 0 for what held_type doesn't know.
int bits_of(int element);

/// True for element types held in a wider one: a tensor of them can't be written back from its values.
bool is_widened(int element);

/// The value of each code of an 8- or 4-bit float, 256 or 16 of them; empty for other types.
const std::vector<float>& narrow_values(int element);

/// How values beyond the largest of an 8-bit float are cast, and how powers of two are rounded.
struct Rounding {
  bool saturate = true;  ///< to the largest; otherwise to infinity or NaN
  char direction = 'u';  ///< of float8_e8m0 only: u(p), d(own) or n(earest)
};

/// float32 for half types, which are computed in it; others as they are.
at::Tensor widened(const at::Tensor& tensor);

/// The values as the element type can hold them, in held_type(element). Throws InputError for types that
/// held_type doesn't know.
at::Tensor cast_to(const at::Tensor& tensor, int element, const Rounding& rounding = {});

}  // namespace quboprune
