#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "quboprune/constant.h"

namespace quboprune {

/// One attribute of a node. Subgraphs and kinds that we have no use for are `opaque`: kept in the file,
/// not seen here.
struct Attribute {
  enum class Kind { opaque, integer, real, text, integers, reals, texts, tensor };
  Kind kind = Kind::opaque;
  std::int64_t i = 0;
  double f = 0;
  std::string s;
  std::vector<std::int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> strings;
  at::Tensor t;

  static Attribute of(std::int64_t value);
  static Attribute of(std::vector<std::int64_t> values);
};

/// An operator's place in the graph. Values are numbers into Graph::values; -1 is an omitted input or output.
struct Node {
  std::string name;    ///< the file's, or "<Op>_<n>" where it gives none
  std::string op;      ///< the operator's type, "Conv"
  std::string domain;  ///< "" for ONNX's own
  int version = 0;     ///< the opset version that the file imports for the domain
  std::vector<int> inputs, outputs;
  std::vector<int> captured;  ///< values that the node's subgraphs read from outside
  std::map<std::string, Attribute> attributes;
  int source = -1;  ///< place in the file's list of nodes

  bool has(const std::string& attribute) const { return attributes.contains(attribute); }
  std::int64_t integer(const std::string& attribute, std::int64_t otherwise) const;
  double real(const std::string& attribute, double otherwise) const;
  std::string text(const std::string& attribute, const std::string& otherwise) const;
  std::vector<std::int64_t> integers(const std::string& attribute,
                                     std::vector<std::int64_t> otherwise = {}) const;
  std::vector<double> reals(const std::string& attribute, std::vector<double> otherwise = {}) const;

  /// The value at an input or output, -1 where it is omitted or not there.
  int input(std::size_t k) const { return k < inputs.size() ? inputs[k] : -1; }
  int output(std::size_t k) const { return k < outputs.size() ? outputs[k] : -1; }
  /// The first output that isn't omitted; -1 if all are.
  int result() const {
    for (int v : outputs)
      if (v >= 0) return v;
    return -1;
  }
  /// "Conv 'name'": how errors and reports call it.
  std::string title() const { return op + " '" + name + "'"; }
};

/// What flows along an edge, or a constant.
struct Value {
  std::string name;
  Constant constant{};  ///< defined for initialisers and Constant nodes, in the file's own type
  int producer = -1;    ///< node, -1 for inputs and constants
  bool input = false, output = false;  ///< of the whole graph
  int element = 0;                     ///< ONNX element type where the file declares it, 0 otherwise
  bool declared = false;               ///< the file states a shape
  std::vector<std::int64_t> shape{};   ///< as declared; -1 for a dimension that is open

  bool is_constant() const { return constant.defined(); }
};

/// A network: nodes in an order in which each comes after what it reads. Constant nodes are values here.
/// Copying shares the tensors; nothing changes a tensor in place.
struct Graph {
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<int> inputs;  ///< without those that initialisers give
  std::vector<int> outputs;
  /// The outputs are inner values in place of some that can't be run here: the batch may lie on any of their
  /// axes.
  bool stand_ins = false;

  /// Adds a constant. In a graph that is written the name is one that no other value has; else it may be
  /// empty.
  int add_constant(std::string name, Constant constant);
  /// Nodes that read each value, in order.
  std::vector<std::vector<int>> consumers() const;
  /// How often a value is read: by nodes, by bodies of nodes that capture it, and once more as an output.
  int uses(int value) const;
  /// By node: whether an output depends on it. Nodes whose outputs have since become constants are skipped.
  std::vector<char> needed_nodes() const;
  /// Sets each value's producer, after nodes were taken out or put in.
  void number_producers();
};

/// The graph with these values as its outputs.
Graph with_outputs(Graph graph, std::vector<int> outputs);

}  // namespace quboprune
