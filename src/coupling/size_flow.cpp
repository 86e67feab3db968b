#include "coupling/size_flow.h"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/index.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "ops/base/size_list.h"
#include "ops/base/target_shape.h"
#include "quboprune/error.h"
#include "runtime/free_of_data.h"

namespace quboprune {
namespace {

using Axes = std::set<std::pair<int, int>>;  // value, axis

/// How many leading inputs of an operator are data that it only moves.
std::size_t moved_inputs(const Node& node) {
  static const std::set<std::string> one = {"Gather",  "Slice",    "Squeeze",   "Unsqueeze",
                                            "Reshape", "Identity", "Transpose", "Flatten",
                                            "Expand",  "Tile",     "Split"};
  if (node.op == "Concat") return node.inputs.size();
  return one.contains(node.op) && node.domain.empty() ? 1 : 0;
}

/// Each element of a value carries the number of a set of axes; 0 is the empty set. Operators that move
/// elements are run on those numbers themselves.
class SizeFlow {
 public:
  explicit SizeFlow(Analysis& a)
      : a_(a), c_(*a.coupling), ids_(a.graph.values.size()), free_(free_of_data(a.graph)) {
    number({});
  }

  void run() {
    for (std::size_t n = 0; n < a_.graph.nodes.size(); ++n) {
      const Node& node = a_.graph.nodes[n];
      c_.begin(static_cast<int>(n));
      if (c_.seen(node.output(0)) && has_computed_sizes(node)) hold_what_does_not_follow(node);
      if (!c_.seen(node.output(0))) {
        freeze_all(node);
      } else if (node.op == "Shape" || node.op == "Size") {
        read_shape(node);
      } else if (depends(node)) {
        pass(node);
      }
    }
    c_.begin(-1);
    for (int v : a_.graph.outputs) freeze(all_of(v), "its number of channels is an output");
    for (std::size_t v = 0; v < ids_.size(); ++v) {
      std::vector<AxisOf> sources;
      for (const auto& [value, axis] : all_of(static_cast<int>(v))) sources.push_back({value, axis});
      if (!sources.empty()) c_.set_size_sources(static_cast<int>(v), std::move(sources));
    }
  }

 private:
  std::int64_t number(const Axes& axes) {
    const auto [found, fresh] = numbers_.try_emplace(axes, static_cast<std::int64_t>(sets_.size()));
    if (fresh) sets_.push_back(axes);
    return found->second;
  }

  const Axes& axes_of(std::int64_t id) const { return sets_[static_cast<std::size_t>(id)]; }
  const at::Tensor& ids(int v) const { return ids_[at_index(v)]; }

  /// All axes that any element of the value depends on.
  Axes all_of(int v) const {
    Axes result;
    if (v < 0 || !ids(v).defined()) return result;
    for (auto id : to_integers(ids(v))) result.insert(axes_of(id).begin(), axes_of(id).end());
    return result;
  }

  bool depends(const Node& node) const {
    for (const auto* list : {&node.inputs, &node.captured}) {
      for (int v : *list) {
        if (v >= 0 && ids(v).defined()) return true;
      }
    }
    return false;
  }

  /// A Reshape, a Resize, an Expand or a fill to sizes that each run computes, a number of channels among
  /// them.
  bool has_computed_sizes(const Node& node) const {
    const int place = sizes_input(node);
    return place >= 0 && c_.rank(node.output(0)) > 0 && !c_.known(node.inputs[at_index(place)]).defined();
  }

  int sizes_of_output(const Node& node) const { return node.inputs[at_index(sizes_input(node))]; }

  /// Which of the computed sizes is that of an axis of the output; below 0: none.
  int place_of(const Node& node, int axis) const {
    return static_cast<int>(c_.shape(sizes_of_output(node)).at(0)) - c_.rank(node.output(0)) + axis;
  }

  /// Does surgery state this entry of a node's sizes anew, or leave it as it was?
  bool is_stated(const Node& node, int place) const {
    if (node.op == "Reshape") {
      const auto shape = target_shape(node, c_);
      return shape && (shape->like >= 0 || !shape->computed(place));
    }
    const auto list = size_list(node, c_);
    return list && !list->computed(place);
  }

  /// Is the size of a labelled axis right whatever goes? It is where it is stated anew, and where it is the
  /// number of the very channels on the axis.
  bool follows(const Node& node, int axis) const {
    const int place = place_of(node, axis);
    if (place < 0 || is_stated(node, place)) return true;
    const at::Tensor& sizes = ids(sizes_of_output(node));
    if (!sizes.defined()) return false;
    const Axes& own = axes_of(to_integers(sizes)[at_index(place)]);
    if (own.size() != 1) return false;
    const Labels counted = c_.peek(own.begin()->first, own.begin()->second);
    const Labels here = c_.peek(node.output(0), axis);
    return std::equal(counted.begin(), counted.end(), here.begin(), here.end(),
                      [&](int a, int b) { return c_.find(a) == c_.find(b); });
  }

  /// Keeps the channels of axes whose computed size doesn't follow them.
  void hold_what_does_not_follow(const Node& node) {
    for (int axis = 0; axis < c_.rank(node.output(0)); ++axis) {
      const Labels here = c_.peek(node.output(0), axis);
      if (!here.empty() && !follows(node, axis)) c_.freeze(here, "its sizes aren't constant");
    }
  }

  /// The axes that a size input depends on and that nothing puts right when they are cut.
  Axes sizes_of(const Node& node, std::size_t k) const {
    if (!has_computed_sizes(node) || node.inputs[k] != sizes_of_output(node) ||
        !ids(node.inputs[k]).defined())
      return all_of(node.inputs[k]);
    Axes result;
    const auto each = to_integers(ids(node.inputs[k]));
    for (int axis = 0; axis < c_.rank(node.output(0)); ++axis) {
      const int place = place_of(node, axis);
      if (place < 0 || is_stated(node, place)) continue;
      if (!c_.peek(node.output(0), axis).empty() && follows(node, axis)) continue;
      const Axes& its = axes_of(each[at_index(place)]);
      result.insert(its.begin(), its.end());
    }
    return result;
  }

  void freeze(const Axes& axes, const char* why) {
    for (const auto& [value, axis] : axes) c_.freeze(c_.peek(value, axis), why);
  }

  void freeze_all(const Node& node) {
    for (const auto* list : {&node.inputs, &node.captured}) {
      for (int v : *list) freeze(all_of(v), "reads a number of channels");
    }
  }

  void read_shape(const Node& node) {
    const int x = node.input(0);
    const auto rank = static_cast<std::int64_t>(c_.rank(x));
    std::vector<std::int64_t> each;
    Axes all;
    for (std::int64_t axis = 0; axis < rank; ++axis) {
      Axes here;
      if (!c_.peek(x, static_cast<int>(axis)).empty()) here.insert({x, static_cast<int>(axis)});
      all.insert(here.begin(), here.end());
      each.push_back(number(here));
    }
    if (all.empty()) return;
    if (node.op == "Size") {
      ids_[at_index(node.output(0))] = at::scalar_tensor(number(all), at::kLong);
      return;
    }
    const auto bound = [&](std::int64_t i) {
      return std::clamp(i < 0 ? i + rank : i, std::int64_t{0}, rank);
    };
    const auto start = bound(node.integer("start", 0));
    const auto end = std::max(start, bound(node.integer("end", rank)));
    ids_[at_index(node.output(0))] = integer_tensor(
        {each.begin() + static_cast<std::ptrdiff_t>(start), each.begin() + static_cast<std::ptrdiff_t>(end)});
  }

  void pass(const Node& node) {
    Axes sizes;  // from inputs that are shapes, bounds, counts
    bool unknown_size = false;
    bool data = false;  // values that aren't made of sizes and constants take part
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const int v = node.inputs[k];
      if (v < 0) continue;
      if (is_size_input(node, k)) {
        const Axes here = sizes_of(node, k);
        sizes.insert(here.begin(), here.end());
        if (!here.empty() && !c_.known(v).defined()) unknown_size = true;
      } else {
        data = data || !free_[at_index(v)];
        if (moved_inputs(node) > 0 && k >= moved_inputs(node))
          freeze(all_of(v), "selects by the number of channels");
      }
    }
    if (unknown_size) freeze(sizes, "its sizes aren't constant");
    if (moved_inputs(node) > 0) {
      move(node);
    } else if (data || !node.captured.empty()) {
      freeze_data(node);
    } else {
      merge(node);
    }
  }

  void freeze_data(const Node& node) {
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (node.inputs[k] >= 0 && !is_size_input(node, k))
        freeze(all_of(node.inputs[k]), "computes with the number of channels");
    }
    for (int v : node.captured) freeze(all_of(v), "computes with the number of channels");
  }

  /// The operator itself moves the numbers of the sets.
  void move(const Node& node) {
    Tensors in;
    bool any = false;
    bool ready = true;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const int v = node.inputs[k];
      if (k >= moved_inputs(node)) {
        in.push_back(c_.known(v));
        ready = ready && (v < 0 || in.back().defined());
      } else if (v >= 0 && ids(v).defined() && ids(v).sizes() == at::IntArrayRef(c_.shape(v))) {
        in.push_back(ids(v));
        any = true;
      } else {
        ready = ready && all_of(v).empty();
        in.push_back(at::zeros(c_.shape(v), at::kLong));
      }
    }
    if (!any && all_data(node).empty()) return;
    if (ready) {
      try {
        const Tensors out = operators().find(node)->run(node, in, {});
        for (std::size_t k = 0; k < out.size() && k < node.outputs.size(); ++k) {
          if (node.outputs[k] >= 0) ids_[at_index(node.outputs[k])] = out[k];
        }
        return;
      } catch (const InputError&) {
      } catch (const c10::Error&) {
      }
    }
    merge(node);
  }

  Axes all_data(const Node& node) const {
    Axes all;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (is_size_input(node, k)) continue;
      const Axes here = all_of(node.inputs[k]);
      all.insert(here.begin(), here.end());
    }
    return all;
  }

  /// Arithmetic on lists of sizes, element by element: each depends on those that it is made of.
  bool merge_elements(const Node& node) {
    static const std::set<std::string> operators = {
        "Add", "Sub", "Mul",   "Div",   "Min",  "Max",   "Mod",  "Abs",  "Neg",    "Not",
        "And", "Or",  "Where", "Equal", "Cast", "Floor", "Ceil", "Less", "Greater"};
    const int out = node.output(0);
    if (!operators.contains(node.op) || !node.domain.empty() || c_.rank(out) != 1) return false;
    std::vector<Axes> each(static_cast<std::size_t>(c_.shape(out)[0]));
    for (int v : node.inputs) {
      if (!ids(v).defined()) continue;
      const auto own = to_integers(ids(v));
      if (own.size() != 1 && own.size() != each.size()) return false;
      for (std::size_t e = 0; e < each.size(); ++e) {
        const Axes& here = axes_of(own[own.size() == 1 ? 0 : e]);
        each[e].insert(here.begin(), here.end());
      }
    }
    std::vector<std::int64_t> numbers;
    for (const Axes& axes : each) numbers.push_back(number(axes));
    ids_[at_index(out)] = integer_tensor(numbers);
    return true;
  }

  /// Every element of the outputs may depend on every element of the inputs.
  void merge(const Node& node) {
    const Axes all = all_data(node);
    if (all.empty() || merge_elements(node)) return;
    for (int out : node.outputs) {
      if (c_.seen(out)) ids_[at_index(out)] = at::full(c_.shape(out), number(all), at::kLong);
    }
  }

  Analysis& a_;
  Coupling& c_;
  std::vector<at::Tensor> ids_;  // by value; undefined where no element depends on a size
  std::vector<bool> free_;       // by value: free of data
  std::vector<Axes> sets_;
  std::map<Axes, std::int64_t> numbers_;
};

}  // namespace

bool is_size_input(const Node& node, std::size_t k) {
  static const std::map<std::string, std::pair<std::size_t, std::size_t>> inputs = {
      {"Reshape", {1, 1}},
      {"Expand", {1, 1}},
      {"Slice", {1, 4}},
      {"Resize", {1, 3}},
      {"Upsample", {1, 1}},
      {"Pad", {1, 3}},
      {"Tile", {1, 1}},
      {"Split", {1, 1}},
      {"TopK", {1, 1}},
      {"Squeeze", {1, 1}},
      {"OneHot", {1, 1}},
      {"Unsqueeze", {1, 1}},
      {"ConstantOfShape", {0, 0}},
      {"Range", {0, 2}}};
  if (!node.domain.empty()) return false;
  const auto found = inputs.find(node.op);
  return found != inputs.end() && k >= found->second.first && k <= found->second.second;
}

void follow_sizes(Analysis& analysis) {
  SizeFlow(analysis).run();
}

}  // namespace quboprune
