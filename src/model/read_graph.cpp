#include "model/read_graph.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "model/names.h"
#include "model/tensor_proto.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using onnx::AttributeProto;

class GraphReader {
 public:
  GraphReader(const std::shared_ptr<const onnx::ModelProto>& model, const std::vector<StoredBytes>& data,
              DataFiles files, const std::map<std::string, std::string>& inserted)
      : model_(model), proto_(model->graph()), data_(data), files_(std::move(files)), inserted_(inserted) {
    for (const auto& set : model->opset_import()) {
      versions_[plain_domain(set.domain())] = static_cast<int>(set.version());
    }
  }

  Graph read() {
    for (int i = 0; i < proto_.initializer_size(); ++i) {
      const auto& tensor = proto_.initializer(i);
      define(tensor.name(), "initialiser");
      value(tensor.name()).constant = constant_from(
          tensor, model_, files_,
          static_cast<std::size_t>(i) < data_.size() ? data_[static_cast<std::size_t>(i)] : StoredBytes{});
      value(tensor.name()).element = tensor.data_type();
      initialised_.insert(tensor.name());
    }
    for (const auto& tensor : proto_.sparse_initializer()) {
      define(tensor.values().name(), "initialiser");
      initialised_.insert(tensor.values().name());
    }
    read_inputs();
    for (int n = 0; n < proto_.node_size(); ++n) read_node(n);
    sort_nodes();
    for (const auto& output : proto_.output()) {
      if (!defined_.contains(output.name()))
        throw InputError("output '" + output.name() +
                         "': nothing in the graph gives it; export the model again");
      value(output.name()).output = true;
      declare(output);
      graph_.outputs.push_back(id(output.name()));
    }
    for (const auto& info : proto_.value_info()) {
      if (defined_.contains(info.name())) declare(info);
    }
    return std::move(graph_);
  }

 private:
  static std::string plain_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

  int id(const std::string& name) {
    const auto [found, fresh] = ids_.try_emplace(name, static_cast<int>(graph_.values.size()));
    if (fresh) graph_.values.push_back({.name = name});
    return found->second;
  }
  Value& value(const std::string& name) { return graph_.values[static_cast<std::size_t>(id(name))]; }

  void define(const std::string& name, const char* what) {
    if (!defined_.insert(name).second) {
      throw InputError(std::string(what) + " '" + name +
                       "' is given twice; the file isn't a valid ONNX model: export it again");
    }
  }

  void declare(const onnx::ValueInfoProto& info) {
    if (!info.type().has_tensor_type()) return;
    Value& v = value(info.name());
    const auto& type = info.type().tensor_type();
    v.element = type.elem_type();
    v.declared = type.has_shape();
    v.shape.clear();
    for (const auto& dim : type.shape().dim()) v.shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  }

  void read_inputs() {
    for (const auto& input : proto_.input()) {
      declare(input);
      if (initialised_.contains(input.name())) continue;
      define(input.name(), "input");
      value(input.name()).input = true;
      graph_.inputs.push_back(id(input.name()));
    }
  }

  Attribute attribute(const AttributeProto& a) {
    Attribute result;
    switch (a.type()) {
      case AttributeProto::INT:
        result.kind = Attribute::Kind::integer;
        result.i = a.i();
        break;
      case AttributeProto::FLOAT:
        result.kind = Attribute::Kind::real;
        result.f = static_cast<double>(a.f());
        break;
      case AttributeProto::STRING:
        result.kind = Attribute::Kind::text;
        result.s = a.s();
        break;
      case AttributeProto::INTS:
        result.kind = Attribute::Kind::integers;
        result.ints.assign(a.ints().begin(), a.ints().end());
        break;
      case AttributeProto::FLOATS:
        result.kind = Attribute::Kind::reals;
        result.floats.assign(a.floats().begin(), a.floats().end());
        break;
      case AttributeProto::STRINGS:
        result.kind = Attribute::Kind::texts;
        result.strings.assign(a.strings().begin(), a.strings().end());
        break;
      case AttributeProto::TENSOR:
        result.t = constant_from(a.t(), model_, files_);
        if (result.t.defined()) result.kind = Attribute::Kind::tensor;
        break;
      default:
        break;
    }
    return result;
  }

  /// A Constant node's tensor; undefined for strings and sparse ones.
  at::Tensor constant_of(const onnx::NodeProto& node) {
    for (const auto& a : node.attribute()) {
      const Attribute read = attribute(a);
      if (a.name() == "value") return read.t;
      if (a.name() == "value_int") return at::scalar_tensor(read.i, at::kLong);
      if (a.name() == "value_float") return at::scalar_tensor(read.f, at::kFloat);
      if (a.name() == "value_ints") return at::tensor(read.ints, at::kLong);
      if (a.name() == "value_floats") return at::tensor(read.floats, at::kDouble).to(at::kFloat);
    }
    return {};
  }

  void read_node(int n) {
    const auto& proto = proto_.node(n);
    const bool own = proto.output_size() == 0 || !inserted_.contains(proto.output(0));
    const int place = own ? place_++ : place_;
    const std::string domain = plain_domain(proto.domain());
    if (proto.op_type() == "Constant" && domain.empty() && proto.output_size() == 1) {
      const at::Tensor tensor = constant_of(proto);
      if (tensor.defined()) {
        define(proto.output(0), "value");
        value(proto.output(0)).constant = tensor;
        for (const auto& a : proto.attribute()) {
          if (a.has_t()) value(proto.output(0)).element = a.t().data_type();
        }
        return;
      }
    }
    Node node;
    node.op = proto.op_type();
    node.domain = domain;
    node.name =
        names_.unique(proto.name().empty() ? proto.op_type() + "_" + std::to_string(place) : proto.name());
    node.source = n;
    const auto version = versions_.find(domain);
    node.version = version == versions_.end() ? 1 : version->second;
    for (const auto& name : proto.input()) node.inputs.push_back(name.empty() ? -1 : id(name));
    for (const auto& name : proto.output()) {
      if (!name.empty()) define(name, "value");
      node.outputs.push_back(name.empty() ? -1 : id(name));
    }
    for (const auto& a : proto.attribute()) {
      node.attributes[a.name()] = attribute(a);
      if (a.has_g()) capture(a.g(), node);
      for (const auto& g : a.graphs()) capture(g, node);
    }
    graph_.nodes.push_back(std::move(node));
  }

  /// Values of this graph that a subgraph reads by name.
  void capture(const onnx::GraphProto& sub, Node& node) {
    std::unordered_set<std::string> own;
    for (const auto& t : sub.initializer()) own.insert(t.name());
    for (const auto& i : sub.input()) own.insert(i.name());
    for (const auto& inner : sub.node()) {
      for (const auto& name : inner.input()) {
        if (!name.empty() && !own.contains(name)) node.captured.push_back(id(name));
      }
      for (const auto& a : inner.attribute()) {
        if (a.has_g()) capture(a.g(), node);
      }
      for (const auto& name : inner.output()) own.insert(name);
    }
  }

  /// Orders the nodes so that each comes after what it reads. Files must be so already; some aren't.
  void sort_nodes() {
    const std::size_t count = graph_.nodes.size();
    std::vector<int> producer(graph_.values.size(), -1);
    for (std::size_t n = 0; n < count; ++n) {
      for (int v : graph_.nodes[n].outputs) {
        if (v >= 0) producer[static_cast<std::size_t>(v)] = static_cast<int>(n);
      }
    }
    std::vector<int> waiting(count, 0);
    std::vector<std::vector<int>> unlocks(count);
    for (std::size_t n = 0; n < count; ++n) {
      for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captured}) {
        for (int v : *list) {
          if (v < 0) continue;
          const int from = producer[static_cast<std::size_t>(v)];
          if (from < 0) {
            require_defined(graph_.nodes[n], v, list == &graph_.nodes[n].captured);
            continue;
          }
          unlocks[static_cast<std::size_t>(from)].push_back(static_cast<int>(n));
          ++waiting[n];
        }
      }
    }
    order_by(waiting, unlocks);
    for (std::size_t n = 0; n < count; ++n) {
      for (int v : graph_.nodes[n].outputs) {
        if (v >= 0) graph_.values[static_cast<std::size_t>(v)].producer = static_cast<int>(n);
      }
    }
  }

  void require_defined(const Node& node, int v, bool inner) const {
    const std::string& name = graph_.values[static_cast<std::size_t>(v)].name;
    if (inner || defined_.contains(name)) return;  // a subgraph's own names may lie deeper than we look
    throw InputError(node.title() + " reads '" + name +
                     "', which nothing in the graph gives; export the model again");
  }

  void order_by(std::vector<int>& waiting, const std::vector<std::vector<int>>& unlocks) {
    std::vector<int> order;
    std::vector<int> ready;  // a heap, smallest first: an order that is already right stays as it is
    for (std::size_t n = 0; n < waiting.size(); ++n) {
      if (waiting[n] == 0) ready.push_back(static_cast<int>(n));
    }
    std::make_heap(ready.begin(), ready.end(), std::greater<>());
    while (!ready.empty()) {
      std::pop_heap(ready.begin(), ready.end(), std::greater<>());
      const int n = ready.back();
      ready.pop_back();
      order.push_back(n);
      for (int next : unlocks[static_cast<std::size_t>(n)]) {
        if (--waiting[static_cast<std::size_t>(next)] > 0) continue;
        ready.push_back(next);
        std::push_heap(ready.begin(), ready.end(), std::greater<>());
      }
    }
    if (order.size() != graph_.nodes.size())
      throw InputError("the graph's nodes read each other in a circle; export the model again");
    std::vector<Node> sorted;
    sorted.reserve(order.size());
    for (int n : order) sorted.push_back(std::move(graph_.nodes[static_cast<std::size_t>(n)]));
    graph_.nodes = std::move(sorted);
  }

  std::shared_ptr<const onnx::ModelProto> model_;
  const onnx::GraphProto& proto_;
  const std::vector<StoredBytes>& data_;
  DataFiles files_;
  const std::map<std::string, std::string>& inserted_;
  int place_ = 0;  // in the file as it came, of the next node
  Graph graph_;
  std::unordered_map<std::string, int> ids_;
  std::unordered_map<std::string, int> versions_;
  std::unordered_set<std::string> defined_, initialised_;
  /// Reports and plans name nodes, so that each needs a name of its own here; the file keeps its.
  Names names_{"#"};
};

}  // namespace

Graph read_graph(const std::shared_ptr<const onnx::ModelProto>& model, const std::vector<StoredBytes>& data,
                 DataFiles files, const std::map<std::string, std::string>& inserted) {
  return GraphReader(model, data, std::move(files), inserted).read();
}

}  // namespace quboprune
