#include "judging/mask_evaluator_keys.h"

#include <ATen/Functions.h>

#include "quboprune/file.h"

namespace quboprune {
namespace {

template <class T>
void append(std::string& bytes, const T& plain) {
  bytes.append(reinterpret_cast<const char*>(&plain), sizeof(plain));
}

template <class T>
void append_list(std::string& bytes, const std::vector<T>& list) {
  append(bytes, list.size());
  for (const T& entry : list) append(bytes, entry);
}

void append_text(std::string& bytes, const std::string& text) {
  append(bytes, text.size());
  bytes += text;
}

void append_tensor(std::string& bytes, const at::Tensor& tensor) {
  append(bytes, tensor.scalar_type());
  append_list(bytes, tensor.sizes().vec());
  const at::Tensor plain = tensor.contiguous();
  bytes.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
}

void append_attribute(std::string& bytes, const Attribute& attribute) {
  append(bytes, attribute.kind);
  append(bytes, attribute.i);
  append(bytes, attribute.f);
  append_text(bytes, attribute.s);
  append_list(bytes, attribute.ints);
  append_list(bytes, attribute.floats);
  append(bytes, attribute.strings.size());
  for (const auto& text : attribute.strings) append_text(bytes, text);
  append(bytes, attribute.t.defined());
  if (attribute.t.defined()) append_tensor(bytes, attribute.t);
}

bool same_storage(const at::Tensor& a, const at::Tensor& b) {
  return a.data_ptr() == b.data_ptr() && a.sizes() == b.sizes() && a.strides() == b.strides() &&
         a.scalar_type() == b.scalar_type();
}

bool same_numbers(const Constant& a, const Constant& b) {
  if (a.in_file() || b.in_file()) return a.is_same(b);
  return same_storage(a, b);
}

}  // namespace

std::string NetworkKeys::constant_key(const Graph& cut, std::size_t value) const {
  const Constant& constant = cut.values[value].constant;
  if (value < original_.values.size() && original_.values[value].is_constant() &&
      same_numbers(constant, original_.values[value].constant))
    return "constant " + std::to_string(value);
  std::string bytes;
  append_tensor(bytes, constant);
  return sha256_of_bytes(bytes);
}

KeyedNetwork NetworkKeys::of(const Graph& cut) const {
  KeyedNetwork result{Executor(cut), std::vector<std::string>(cut.values.size())};
  for (std::size_t v = 0; v < cut.values.size(); ++v) {
    if (cut.values[v].is_constant()) result.keys[v] = constant_key(cut, v);
  }
  for (std::size_t n = 0; n < cut.nodes.size(); ++n) {
    const Node& node = cut.nodes[n];
    std::string bytes;
    append(bytes, n);
    append_text(bytes, node.domain);
    append_text(bytes, node.op);
    for (const auto& [name, attribute] : node.attributes) {
      append_text(bytes, name);
      append_attribute(bytes, attribute);
    }
    for (const auto* list : {&node.inputs, &node.captured}) {
      append(bytes, list->size());
      for (int v : *list) append_text(bytes, v < 0 ? "none" : result.keys[static_cast<std::size_t>(v)]);
    }
    const std::string key = sha256_of_bytes(bytes);
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      if (node.outputs[k] >= 0)
        result.keys[static_cast<std::size_t>(node.outputs[k])] = key + " " + std::to_string(k);
    }
  }
  return result;
}

}  // namespace quboprune
