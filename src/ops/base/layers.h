#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// A convolution or a matrix product: what sums its inputs over channels, by weights where it has constant
/// ones.
inline bool is_layer(const Node& node) {
  return node.domain.empty() &&
         (node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm" || node.op == "MatMul");
}

/// The axis of a layer's operand (0 or 1) that its outputs' channels lie on, of a convolution group each
/// where it is transposed; -1 for other nodes.
inline int output_axis(const Node& node, int operand, int dims) {
  if (!is_layer(node)) return -1;
  if (node.op == "Conv") return 0;
  if (node.op == "ConvTranspose") return 1;
  if (node.op == "MatMul") return operand == 1 ? dims - 1 : dims - 2;
  const bool transposed = node.integer(operand == 1 ? "transB" : "transA", 0) != 0;
  return (operand == 1) == transposed ? 0 : 1;
}

/// Rows of a recurrent layer's weights for each hidden unit; 0 for other nodes.
inline int gates_of(const Node& node) {
  if (!node.domain.empty()) return 0;
  return node.op == "LSTM" ? 4 : node.op == "GRU" ? 3 : node.op == "RNN" ? 1 : 0;
}

inline bool is_recurrent(const Node& node) {
  return gates_of(node) > 0;
}

}  // namespace quboprune
