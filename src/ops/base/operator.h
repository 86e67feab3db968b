#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/base/coupling.h"
#include "ops/base/slicing.h"
#include "quboprune/graph.h"

namespace quboprune {

using Tensors = std::vector<at::Tensor>;

/// The k-th input; undefined where the node omits it.
inline at::Tensor given(const Tensors& inputs, std::size_t k) {
  return k < inputs.size() ? inputs[k] : at::Tensor();
}

class BlockedKernels;

/// How a graph is run.
struct RunMode {
  bool training = false;           ///< batch norm uses and updates batch statistics, dropout drops
  BlockedKernels* fast = nullptr;  ///< for convolutions that it has, where rounding may be rougher
  /// For operators that say averages(): what each index counts in their means, broadcast against input 0.
  /// Undefined: all count alike.
  at::Tensor mean_weights{};
};

/// All that quboprune knows of an operator, in one place: how it runs, how it couples channels, how it is
/// sliced, what it costs. One object serves all nodes of its type, so it holds no state.
class Operator {
 public:
  virtual ~Operator() = default;

  /// Outputs for inputs (undefined tensors where the node omits one), differentiable where the operator is.
  /// Floating-point inputs arrive as float32 or float64. Throws InputError for an attribute or a shape that
  /// the operator doesn't have.
  virtual Tensors run(const Node& node, const Tensors& inputs, const RunMode& mode) const = 0;

  /// Says which indices of the inputs' and outputs' axes must be kept or removed together, by labels (see
  /// Coupling). Every labelled axis of every input must be passed on, tied or frozen: what isn't labelled on
  /// the outputs can't be removed. Unless overridden, everything that reaches the node is frozen.
  virtual void couple(const Node& node, Coupling& coupling) const;

  /// Changes attributes and shape-like inputs to what the labels leave of the axes. Constants that carry
  /// labels are cut by the caller.
  virtual void slice(const Node& node, Slicing& slicing) const;

  /// Multiply-accumulates, as products of axes' sizes (Coupling::add_macs). Unless overridden, none.
  virtual void cost(const Node& node, Coupling& coupling) const;
};

/// The operators by domain and type.
class OperatorTable {
 public:
  void add(const std::string& type, std::shared_ptr<const Operator> op, const std::string& domain = "") {
    operators_[domain + ":" + type] = std::move(op);
  }
  /// nullptr for one that we don't know.
  const Operator* find(const Node& node) const {
    const auto found = operators_.find(node.domain + ":" + node.op);
    return found == operators_.end() ? nullptr : found->second.get();
  }
  /// "domain:type" of each.
  std::vector<std::string> names() const;

 private:
  std::map<std::string, std::shared_ptr<const Operator>> operators_;
};

/// The table of all operators in src/ops/, made on first use.
const OperatorTable& operators();

}  // namespace quboprune
