#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// A convolution or a matrix product: what sums its inputs over channels, by weights where it has constant
/// ones.
inline bool is_layer(const Node& node) {
  return node.domain.empty() &&
         (node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm" || node.op == "MatMul");
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
