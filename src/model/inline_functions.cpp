#include "model/inline_functions.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <map>
#include <string>
#include <vector>

#include "model/names.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using onnx::FunctionProto;
using onnx::NodeProto;

constexpr int kMostNodes = 1 << 20;  // functions that double at each level would fill any memory
constexpr int kDeepest = 64;

// Fields that ONNX added after 1.12, whose schema doesn't know them yet.
constexpr int kDefaultsOfFunction = 11, kOverloadOfFunction = 13, kOverloadOfNode = 8;

std::vector<std::string> unknown_texts(const google::protobuf::Message& message, int number) {
  std::vector<std::string> texts;
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  for (int k = 0; k < fields.field_count(); ++k) {
    const auto& field = fields.field(k);
    if (field.number() == number && field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      texts.push_back(field.length_delimited());
  }
  return texts;
}

std::string last_of(const std::vector<std::string>& texts) {
  return texts.empty() ? "" : texts.back();
}

/// Attributes that a caller need not give.
std::vector<onnx::AttributeProto> defaults_of(const FunctionProto& function) {
  std::vector<onnx::AttributeProto> defaults;
  for (const auto& bytes : unknown_texts(function, kDefaultsOfFunction)) {
    if (!defaults.emplace_back().ParseFromString(bytes))
      throw InputError("local function '" + function.name() +
                       "': a default can't be read; export the model again");
  }
  return defaults;
}

std::string plain(const std::string& domain) {
  return domain == "ai.onnx" ? "" : domain;
}

class Inliner {
 public:
  explicit Inliner(onnx::ModelProto& model) : model_(model), functions_(model.functions()) {
    for (const auto& f : functions_)
      by_name_[key_of(f.domain(), f.name(), last_of(unknown_texts(f, kOverloadOfFunction)))] = &f;
    for (const auto& set : model.opset_import()) versions_[plain(set.domain())] = set.version();
    for (const auto& node : model.graph().node()) take_names(node);
    for (const auto& input : model.graph().input()) taken_.take(input.name());
    for (const auto& tensor : model.graph().initializer()) taken_.take(tensor.name());
  }

  void run() {
    google::protobuf::RepeatedPtrField<NodeProto> nodes;
    nodes.Swap(model_.mutable_graph()->mutable_node());
    for (auto& node : nodes) expand(std::move(node), 0);
    // Calls inside subgraphs are left as they are: what they call, and what that calls, stays.
    for (const auto& node : model_.graph().node())
      if (calls_inside(node)) return;
    model_.clear_functions();
  }

 private:
  static std::string key_of(const std::string& domain, const std::string& name, const std::string& overload) {
    return plain(domain) + ":" + name + ":" + overload;
  }

  const FunctionProto* called_by(const NodeProto& node) const {
    const auto found =
        by_name_.find(key_of(node.domain(), node.op_type(), last_of(unknown_texts(node, kOverloadOfNode))));
    return found == by_name_.end() ? nullptr : found->second;
  }

  bool calls_inside(const NodeProto& node) const {
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      for (const auto& inner : attribute.g().node())
        if (called_by(inner) != nullptr || calls_inside(inner)) return true;
    }
    return false;
  }

  void take_names(const NodeProto& node) {
    for (const auto& name : node.input()) taken_.take(name);
    for (const auto& name : node.output()) taken_.take(name);
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      for (const auto& inner : attribute.g().node()) take_names(inner);
      for (const auto& tensor : attribute.g().initializer()) taken_.take(tensor.name());
      for (const auto& input : attribute.g().input()) taken_.take(input.name());
    }
  }

  void expand(NodeProto node, int depth) {
    const FunctionProto* called = called_by(node);
    if (called == nullptr) {
      if (model_.graph().node_size() >= kMostNodes)
        throw InputError("its local functions unfold to more than a million nodes; export the model again");
      *model_.mutable_graph()->add_node() = std::move(node);
      return;
    }
    if (depth > kDeepest)
      throw InputError("local function '" + node.op_type() + "' calls itself; export the model again");
    const FunctionProto& function = *called;
    check_versions(function);
    std::map<std::string, std::string> names{{"", ""}};
    for (int k = 0; k < function.input_size(); ++k)
      names[function.input(k)] = k < node.input_size() ? node.input(k) : "";
    for (int k = 0; k < function.output_size(); ++k) {
      if (k < node.output_size() && !node.output(k).empty()) names[function.output(k)] = node.output(k);
    }
    const auto defaults = defaults_of(function);
    const std::string prefix = node.name().empty() ? node.op_type() : node.name();
    for (const auto& inner : function.node()) {
      NodeProto copy = inner;
      for (auto& name : *copy.mutable_input()) name = renamed(name, prefix, names);
      for (auto& name : *copy.mutable_output()) name = renamed(name, prefix, names);
      if (!inner.name().empty()) copy.set_name(prefix + "/" + inner.name());
      fill_attributes(copy, node, defaults);
      for (auto& a : *copy.mutable_attribute()) {
        if (a.has_g()) rename_inside(*a.mutable_g(), prefix, names);
      }
      expand(std::move(copy), depth + 1);
    }
  }

  std::string renamed(const std::string& name, const std::string& prefix,
                      std::map<std::string, std::string>& names) {
    const auto found = names.find(name);
    if (found != names.end()) return found->second;
    return names[name] = taken_.unique(prefix + "/" + name);
  }

  /// A subgraph reads what the function around it has under its new name, and its own values get names of
  /// their own too: the function may be called twice.
  void rename_inside(onnx::GraphProto& graph, const std::string& prefix,
                     std::map<std::string, std::string>& names) {
    for (auto& input : *graph.mutable_input()) input.set_name(renamed(input.name(), prefix, names));
    for (auto& tensor : *graph.mutable_initializer()) tensor.set_name(renamed(tensor.name(), prefix, names));
    for (auto& node : *graph.mutable_node()) {
      for (auto& name : *node.mutable_input()) name = renamed(name, prefix, names);
      for (auto& name : *node.mutable_output()) name = renamed(name, prefix, names);
      for (auto& a : *node.mutable_attribute()) {
        if (a.has_g()) rename_inside(*a.mutable_g(), prefix, names);
      }
    }
    for (auto& output : *graph.mutable_output()) output.set_name(renamed(output.name(), prefix, names));
    for (auto& info : *graph.mutable_value_info()) info.set_name(renamed(info.name(), prefix, names));
  }

  /// Attributes that stand for the caller's, or else the function's default; without either they fall away.
  static void fill_attributes(NodeProto& node, const NodeProto& caller,
                              const std::vector<onnx::AttributeProto>& defaults) {
    for (int k = node.attribute_size() - 1; k >= 0; --k) {
      auto* attribute = node.mutable_attribute(k);
      if (attribute->has_g()) {
        for (auto& inner : *attribute->mutable_g()->mutable_node()) fill_attributes(inner, caller, defaults);
      }
      if (attribute->ref_attr_name().empty()) continue;
      const std::string name = attribute->name();
      const onnx::AttributeProto* given = nullptr;
      for (const auto& a : defaults) {
        if (a.name() == attribute->ref_attr_name()) given = &a;
      }
      for (const auto& a : caller.attribute()) {
        if (a.name() == attribute->ref_attr_name()) given = &a;
      }
      if (given) {
        *attribute = *given;
        attribute->set_name(name);
      } else {
        node.mutable_attribute()->DeleteSubrange(k, 1);
      }
    }
  }

  void check_versions(const FunctionProto& function) {
    for (const auto& set : function.opset_import()) {
      const auto [found, fresh] = versions_.try_emplace(plain(set.domain()), set.version());
      if (fresh) {
        auto* added = model_.add_opset_import();
        added->set_domain(set.domain());
        added->set_version(set.version());
      } else if (found->second != set.version() && set.domain() != function.domain()) {
        throw InputError("local function '" + function.name() + "' wants opset " +
                         std::to_string(set.version()) + ", the model has " + std::to_string(found->second) +
                         "; inline its functions with onnx.inliner first");
      }
    }
  }

  onnx::ModelProto& model_;
  const google::protobuf::RepeatedPtrField<FunctionProto> functions_;  // a copy: the model's own go
  std::map<std::string, const FunctionProto*> by_name_;
  std::map<std::string, std::int64_t> versions_;
  Names taken_;
};

}  // namespace

void inline_functions(onnx::ModelProto& model) {
  if (model.functions_size() > 0) Inliner(model).run();
}

}  // namespace quboprune
