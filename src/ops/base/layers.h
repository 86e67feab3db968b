#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// A convolution or a matrix product: what sums its inputs over channels, by weights where it has constant
/// ones.
inline bool is_layer(const Node& node) {
  return node.domain.empty() &&
         (node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm" || node.op == "MatMul");
}

}  // namespace quboprune
