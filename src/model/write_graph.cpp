#include "model/write_graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/index.h"
#include "model/element_types.h"
#include "model/names.h"
#include "model/tensor_proto.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

bool same(const Attribute& a, const Attribute& b) {
  return a.kind == b.kind && a.i == b.i && a.f == b.f && a.s == b.s && a.ints == b.ints &&
         a.floats == b.floats && a.strings == b.strings && a.t.is_same(b.t);
}

void write_attribute(onnx::NodeProto& node, const std::string& name, const Attribute& attribute) {
  onnx::AttributeProto* target = nullptr;
  for (auto& a : *node.mutable_attribute()) {
    if (a.name() == name) target = &a;
  }
  if (!target) target = node.add_attribute();
  target->set_name(name);
  if (attribute.kind == Attribute::Kind::integer) {
    target->set_type(onnx::AttributeProto::INT);
    target->set_i(attribute.i);
  } else if (attribute.kind == Attribute::Kind::real) {
    target->set_type(onnx::AttributeProto::FLOAT);
    target->set_f(static_cast<float>(attribute.f));
  } else if (attribute.kind == Attribute::Kind::integers) {
    target->set_type(onnx::AttributeProto::INTS);
    target->clear_ints();
    for (auto i : attribute.ints) target->add_ints(i);
  } else if (attribute.kind == Attribute::Kind::tensor) {
    target->set_type(onnx::AttributeProto::TENSOR);
    write_tensor(*target->mutable_t(), attribute.t);
  } else {
    throw InternalError("attribute '" + name + "' of a kind that surgery doesn't change");
  }
}

void remove_attribute(onnx::NodeProto& node, const std::string& name) {
  for (int a = node.attribute_size() - 1; a >= 0; --a) {
    if (node.attribute(a).name() == name) node.mutable_attribute()->DeleteSubrange(a, 1);
  }
}

class Writer {
 public:
  Writer(const onnx::ModelProto& file, const Graph& before, const Graph& after)
      : result_(file),
        graph_(*result_.mutable_graph()),
        data_(static_cast<std::size_t>(graph_.initializer_size())),
        before_(before),
        after_(after),
        names_(after) {}

  ModelToWrite write(const std::map<std::string, std::string>& metadata) {
    const auto defined = names_defined();
    for (const auto& node : graph_.node()) take_names_inside(node);
    for (const std::string& name : inside_) names_.take(name);
    find_changes();
    write_constants();
    write_nodes();
    write_shapes();
    drop_declarations(defined);
    fetch_stored();
    for (const auto& [key, text] : metadata) write_metadata(key, text);
    return {std::move(result_), std::move(data_)};
  }

 private:
  void find_changes() {
    for (std::size_t v = 0; v < after_.values.size(); ++v) {
      const Value& now = after_.values[v];
      if (!now.constant.defined()) continue;
      const Constant before = v < before_.values.size() ? before_.values[v].constant : Constant();
      if (!before.defined()) {
        added_.push_back(static_cast<int>(v));
        rename_if_inside(static_cast<int>(v));
      } else if (!now.constant.is_same(before)) {
        changed_[now.name] = static_cast<int>(v);
      }
    }
  }

  /// Of all values of the main graph.
  std::unordered_set<std::string> names_defined() const {
    std::unordered_set<std::string> names;
    for (const auto& node : graph_.node()) names.insert(node.output().begin(), node.output().end());
    for (const auto& tensor : graph_.initializer()) names.insert(tensor.name());
    for (const auto& sparse : graph_.sparse_initializer()) names.insert(sparse.values().name());
    for (const auto& input : graph_.input()) names.insert(input.name());
    return names;
  }

  /// What isn't there any more needs no declared shape.
  void drop_declarations(const std::unordered_set<std::string>& before) {
    const auto now = names_defined();
    for (int i = graph_.value_info_size() - 1; i >= 0; --i) {
      const std::string& name = graph_.value_info(i).name();
      if (before.contains(name) && !now.contains(name)) graph_.mutable_value_info()->DeleteSubrange(i, 1);
    }
  }

  /// Names that subgraphs define: a value outside must not have the same.
  void take_names_inside(const onnx::NodeProto& node) {
    const auto take = [&](const onnx::GraphProto& graph) {
      for (const auto& inner : graph.node()) {
        inside_.insert(inner.output().begin(), inner.output().end());
        take_names_inside(inner);
      }
      for (const auto& tensor : graph.initializer()) inside_.insert(tensor.name());
      for (const auto& input : graph.input()) inside_.insert(input.name());
    };
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) take(attribute.g());
      for (const auto& graph : attribute.graphs()) take(graph);
    }
  }

  void rename_if_inside(int v) {
    const std::string& name = after_.values[at_index(v)].name;
    if (!inside_.contains(name)) return;
    renamed_[v] = names_.unique(name);
  }

  std::string name_of(int value) const {
    if (value < 0) return "";
    const auto other = renamed_.find(value);
    return other != renamed_.end() ? other->second : after_.values[at_index(value)].name;
  }

  const Constant& constant(int v) const { return after_.values[at_index(v)].constant; }

  /// Gives an initialiser this constant; its numbers follow when the file is written.
  void put(int initialiser, const Constant& constant) {
    write_header(*graph_.mutable_initializer(initialiser), constant);
    data_[at_index(initialiser)] = constant;
  }

  void write_constants() {
    for (int i = 0; i < graph_.initializer_size(); ++i) {
      const auto found = changed_.find(graph_.initializer(i).name());
      if (found != changed_.end()) put(i, constant(found->second));
    }
    for (auto& node : *graph_.mutable_node()) {
      if (node.op_type() != "Constant" || node.output_size() != 1) continue;
      const auto found = changed_.find(node.output(0));
      if (found == changed_.end()) continue;
      std::string name;  // of the tensor inside, where it has one
      if (node.attribute_size() > 0 && node.attribute(0).has_t()) name = node.attribute(0).t().name();
      node.clear_attribute();
      Attribute a;
      a.kind = Attribute::Kind::tensor;
      a.t = constant(found->second);
      write_attribute(node, "value", a);
      if (!name.empty()) node.mutable_attribute(0)->mutable_t()->set_name(name);
    }
    for (int v : added_) {
      graph_.add_initializer()->set_name(name_of(v));
      data_.emplace_back();
      put(graph_.initializer_size() - 1, constant(v));
      if (result_.ir_version() < 4) declare_input(v);
    }
  }

  /// Before IR version 4 each initialiser is an input too.
  void declare_input(int v) {
    auto* input = graph_.add_input();
    input->set_name(name_of(v));
    auto* type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(element_of(constant(v).scalar_type()));
    type->mutable_shape();
    for (auto d : constant(v).sizes()) type->mutable_shape()->add_dim()->set_dim_value(d);
  }

  void write_nodes() {
    std::unordered_map<int, const Node*> was;
    std::unordered_set<int> kept;
    for (const auto& node : before_.nodes) was[node.source] = &node;
    for (const auto& node : after_.nodes) {
      check(was.contains(node.source), "a node that isn't the file's own can't be written");
      kept.insert(node.source);
      auto& proto = *graph_.mutable_node(node.source);
      const Node& old = *was.at(node.source);
      for (const auto& [name, attribute] : node.attributes) {
        const auto before = old.attributes.find(name);
        if (before == old.attributes.end() || !same(before->second, attribute))
          write_attribute(proto, name, attribute);
      }
      for (const auto& [name, attribute] : old.attributes) {
        if (!node.has(name)) remove_attribute(proto, name);
      }
      if (reads_otherwise(proto, node)) write_inputs(proto, node);
    }
    for (int n = graph_.node_size() - 1; n >= 0; --n) {
      if (was.contains(n) && !kept.contains(n)) graph_.mutable_node()->DeleteSubrange(n, 1);
    }
    drop_unread();
  }

  /// By what the message says, whatever the graph before was.
  bool reads_otherwise(const onnx::NodeProto& proto, const Node& node) const {
    const auto count = static_cast<std::size_t>(proto.input_size());
    for (std::size_t i = 0; i < std::max(count, node.inputs.size()); ++i) {
      const std::string now = i < node.inputs.size() ? name_of(node.inputs[i]) : "";
      if (now != (i < count ? proto.input(static_cast<int>(i)) : "")) return true;
    }
    return false;
  }

  void write_inputs(onnx::NodeProto& proto, const Node& node) const {
    proto.clear_input();
    for (int v : node.inputs) proto.add_input(name_of(v));
  }

  /// Initialisers that surgery has replaced for their last reader, or made for one that went too, would stay
  /// behind as ballast.
  void drop_unread() {
    std::unordered_set<std::string> dead;
    const auto before = before_.consumers();
    const auto after = after_.consumers();
    for (std::size_t v = 0; v < after_.values.size(); ++v) {
      const Value& value = after_.values[v];
      const bool was_read = v >= before_.values.size() || !before[v].empty();
      if (value.is_constant() && !value.output && was_read && after[v].empty())
        dead.insert(name_of(static_cast<int>(v)));
    }
    if (dead.empty()) return;
    for (int i = graph_.initializer_size() - 1; i >= 0; --i) {
      if (!dead.contains(graph_.initializer(i).name())) continue;
      graph_.mutable_initializer()->DeleteSubrange(i, 1);
      data_.erase(data_.begin() + i);
    }
    for (int i = graph_.input_size() - 1; i >= 0; --i) {
      if (dead.contains(graph_.input(i).name())) graph_.mutable_input()->DeleteSubrange(i, 1);
    }
    for (int n = graph_.node_size() - 1; n >= 0; --n) {
      const auto& node = graph_.node(n);
      if (node.op_type() == "Constant" && node.output_size() == 1 && dead.contains(node.output(0))) {
        graph_.mutable_node()->DeleteSubrange(n, 1);
      }
    }
  }

  void write_shapes() {
    std::unordered_map<std::string, const Value*> now;
    for (std::size_t v = 0; v < before_.values.size(); ++v) {
      const Value& value = after_.values[v];
      if (value.declared && (value.shape != before_.values[v].shape || changed_.contains(value.name)))
        now[value.name] = &value;
    }
    const auto update = [&](auto* infos) {
      for (auto& info : *infos) {
        const auto found = now.find(info.name());
        if (found == now.end()) continue;
        auto* shape = info.mutable_type()->mutable_tensor_type()->mutable_shape();
        const auto sizes =
            found->second->constant.defined() ? found->second->constant.sizes().vec() : found->second->shape;
        for (int d = 0; d < shape->dim_size() && d < static_cast<int>(sizes.size()); ++d) {
          const auto size = sizes[static_cast<std::size_t>(d)];
          if (shape->dim(d).has_dim_value() && size >= 0) shape->mutable_dim(d)->set_dim_value(size);
        }
      }
    };
    update(graph_.mutable_input());
    update(graph_.mutable_output());
    update(graph_.mutable_value_info());
  }

  /// The result is one file: tensors that lie in others move into it, those that were left in theirs too.
  void fetch_stored() {
    std::unordered_map<std::string, int> ids;
    for (std::size_t v = 0; v < after_.values.size(); ++v) ids[after_.values[v].name] = static_cast<int>(v);
    for (int i = 0; i < graph_.initializer_size(); ++i) {
      if (data_[at_index(i)].defined()) continue;
      auto& initialiser = *graph_.mutable_initializer(i);
      const Constant& read = constant(ids.at(initialiser.name()));
      if (initialiser.data_location() == onnx::TensorProto::EXTERNAL) {
        if (!read.defined() || is_widened(initialiser.data_type()))
          throw InputError(
              "tensor '" + initialiser.name() +
              "' lies in another file and has a type that can't be moved; save the model as one file first");
        put(i, read);
      } else if (read.in_file()) {
        data_[at_index(i)] = read;
      }
    }
  }

  void write_metadata(const std::string& key, const std::string& text) {
    for (auto& entry : *result_.mutable_metadata_props()) {
      if (entry.key() == key) {
        entry.set_value(text);
        return;
      }
    }
    auto* entry = result_.add_metadata_props();
    entry->set_key(key);
    entry->set_value(text);
  }

  onnx::ModelProto result_;
  onnx::GraphProto& graph_;
  std::vector<Constant> data_;  // by initialiser: what isn't in the message
  const Graph& before_;
  const Graph& after_;
  std::unordered_map<std::string, int> changed_;
  std::vector<int> added_;
  std::unordered_set<std::string> inside_;
  Names names_;                                   // of after_, and inside
  std::unordered_map<int, std::string> renamed_;  // added values whose names subgraphs have
};

}  // namespace

ModelToWrite write_graph(const onnx::ModelProto& file, const Graph& before, const Graph& after,
                         const std::map<std::string, std::string>& metadata) {
  return Writer(file, before, after).write(metadata);
}

}  // namespace quboprune
