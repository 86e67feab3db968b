#include "ops/base/coupling.h"

#include <algorithm>
#include <numeric>

#include "model/element_types.h"
#include "quboprune/error.h"

namespace quboprune {

Coupling::Coupling(const Graph& graph, const Probe& probe, bool shrink_norms, std::set<int> second_way)
    : graph_(graph),
      probe_(probe),
      shrink_norms_(shrink_norms),
      second_way_(std::move(second_way)),
      readers_(graph.consumers()),
      labels_(graph.values.size()) {
  for (std::size_t v = 0; v < labels_.size(); ++v) {
    if (probe.seen[v]) labels_[v].resize(probe.shapes[v].size());
  }
}

bool Coupling::is_weight(int value) const {
  std::vector<int> open{value};
  std::set<int> passed{value};
  while (!open.empty()) {
    const Value& v = graph_.values[index(open.back())];
    open.pop_back();
    if (v.is_constant()) continue;
    if (v.producer < 0) return false;
    for (int input : graph_.nodes[index(v.producer)].inputs)
      if (input >= 0 && passed.insert(input).second) open.push_back(input);
  }
  return true;
}

int Coupling::normal(int value, int axis) const {
  const int r = rank(value);
  const int result = axis < 0 ? axis + r : axis;
  check(result >= 0 && result < r, "an axis outside its value's rank");
  return result;
}

Labels Coupling::peek(int value, int axis) const {
  if (!seen(value)) return {};
  touch(value, normal(value, axis));
  return labels_[index(value)][index(normal(value, axis))];
}

Labels Coupling::labels(int value, int axis) {
  if (!seen(value)) return {};
  touch(value, normal(value, axis));
  Labels& here = labels_[index(value)][index(normal(value, axis))];
  const auto& constant = graph_.values[index(value)].constant;
  if (here.empty() && constant.defined() && at::isFloatingType(constant.scalar_type()) &&
      !is_widened(graph_.values[index(value)].element)) {
    const auto size = shape(value)[index(normal(value, axis))];
    if (size > 1) here = fresh_labels(index(static_cast<int>(size)));
    if (whole_.contains({value, normal(value, axis)}))
      freeze(here, "another operator reads the same constant whole");
  }
  return here;
}

void Coupling::set(int value, int axis, Labels labels) {
  if (!seen(value)) {
    freeze(labels, "its output's size isn't known");
    return;
  }
  const int at = normal(value, axis);
  if (labels.empty()) return;
  check(static_cast<std::int64_t>(labels.size()) == shape(value)[index(at)],
        "labels that don't fit the axis");
  if (labels.size() == 1) {
    freeze(labels, "a single channel stays");
    return;
  }
  labels_[index(value)][index(at)] = std::move(labels);
}

Labels Coupling::fresh_labels(std::size_t n) {
  Labels result(n);
  const int first = static_cast<int>(parent_.size());
  parent_.resize(parent_.size() + n);
  origin_.resize(parent_.size(), node_);
  std::iota(result.begin(), result.end(), first);
  std::iota(parent_.begin() + first, parent_.end(), first);
  return result;
}

Labels Coupling::frozen_labels(std::size_t n, const std::string& why) {
  Labels result = fresh_labels(n);
  freeze(result, why);
  return result;
}

int Coupling::find(int label) const {
  int root = label;
  while (parent_[index(root)] != root) root = parent_[index(root)];
  while (parent_[index(label)] != root) label = std::exchange(parent_[index(label)], root);
  return root;
}

void Coupling::tie(int a, int b) {
  int low = find(a);
  int high = find(b);
  if (low == high) return;
  if (high < low) std::swap(low, high);  // the smallest label names the class: the same on every run
  parent_[index(high)] = low;
  const auto found = frozen_.find(high);
  if (found != frozen_.end()) {
    frozen_.try_emplace(low, found->second);
    frozen_.erase(found);
  }
}

void Coupling::tie(const Labels& a, const Labels& b, const std::string& why) {
  if (a.empty() || b.empty()) {
    freeze(a, why);
    freeze(b, why);
    return;
  }
  check(a.size() == b.size(), "two axes of different sizes can't be tied");
  for (std::size_t i = 0; i < a.size(); ++i) tie(a[i], b[i]);
}

void Coupling::freeze(const Labels& labels, const std::string& why) {
  for (int label : labels) {
    if (frozen_.contains(find(label))) continue;
    frozen_[find(label)] = node_ < 0 ? why : graph_.nodes[index(node_)].title() + ": " + why;
  }
}

void Coupling::freeze_value(int value, const std::string& why) {
  if (!seen(value)) return;
  // labels(), not peek(): a constant that someone else labels later must be frozen for this reader too.
  for (int axis = 0; axis < rank(value); ++axis) freeze(labels(value, axis), why);
}

void Coupling::freeze_inputs(const Node& node, const std::string& why) {
  for (const auto* list : {&node.inputs, &node.captured}) {
    for (int v : *list) freeze_value(v, why);
  }
}

void Coupling::reads_shape_only(int value) {
  if (seen(value)) shape_only_.insert(value);
}

void Coupling::begin(int node) {
  if (walking_) finish(graph_.nodes[index(node_)]);
  node_ = node;
  // The walk goes through the nodes once; later visits (costs) ask without passing on.
  walking_ = node >= 0 && !ended_;
  if (node < 0 && !std::exchange(ended_, true)) {
    for (int label = 0; label < label_count(); ++label) find(label);  // from here on that only reads
  }
  touched_.clear();
  shape_only_.clear();
}

void Coupling::finish(const Node& node) {
  for (const auto* list : {&node.inputs, &node.captured}) {
    for (int v : *list) {
      if (!seen(v) || shape_only_.contains(v)) continue;
      for (int axis = 0; axis < rank(v); ++axis) {
        const Labels& here = labels_[index(v)][index(axis)];
        if (here.empty()) {
          if (graph_.values[index(v)].is_constant() && shape(v)[index(axis)] > 1) whole_.insert({v, axis});
        } else if (!touched_.contains({v, axis})) {
          freeze(here, "isn't followed through this operator");
        }
      }
    }
  }
}

const std::vector<AxisOf>& Coupling::size_sources(int value) const {
  static const std::vector<AxisOf> none;
  const auto found = size_sources_.find(value);
  return found == size_sources_.end() ? none : found->second;
}

void Coupling::contracts(std::size_t k, int axis) {
  const int value = graph_.nodes[index(node_)].input(k);
  contractions_.push_back({node_, static_cast<int>(k), normal(value, axis)});
}

void Coupling::averages(const std::vector<std::int64_t>& axes, const std::string& why) {
  const int value = graph_.nodes[index(node_)].input(0);
  bool declared = !shrink_norms_ || is_weight(value);
  for (const auto a : axes) {
    const int axis = static_cast<int>(a);
    const Labels here = labels(value, axis);
    if (here.empty()) continue;
    if (std::exchange(declared, true)) {
      freeze(here, why);
    } else {
      contractions_.push_back({node_, 0, normal(value, axis), true});
    }
  }
}

std::set<int> Coupling::stuck_on_first_way() const {
  std::set<int> stuck;
  for (const auto& [node, labels] : first_ways_) {
    if (std::ranges::none_of(labels, [&](int label) { return reason(label).empty(); })) stuck.insert(node);
  }
  return stuck;
}

void Coupling::add_macs(double coefficient, const std::vector<AxisOf>& axes) {
  MacTerm term{node_, coefficient, {}};
  for (const auto& [value, axis] : axes) {
    Labels here = peek(value, axis);
    if (here.empty()) {
      term.coefficient *= static_cast<double>(shape(value)[index(normal(value, axis))]);
    } else {
      term.axes.push_back(std::move(here));
    }
  }
  macs_.push_back(std::move(term));
}

const std::string& Coupling::reason(int label) const {
  static const std::string none;
  const auto found = frozen_.find(find(label));
  return found == frozen_.end() ? none : found->second;
}

}  // namespace quboprune
