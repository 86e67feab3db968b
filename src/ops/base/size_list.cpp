#include "ops/base/size_list.h"

#include <algorithm>
#include <string>

#include "core/index.h"
#include "model/shared_lists.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

bool is_flat_copy(const Node& node, const Coupling& c) {
  return node.op == "Reshape" && node.domain.empty() && c.rank(node.input(0)) == 1 &&
         c.rank(node.output(0)) == 1;
}

/// Where(list == -1, ones, list), which stands in front of many an Expand: -1 there means "as it is".
bool keeps_sizes(const Node& node, const Coupling& c) {
  if (node.op != "Where" || !node.domain.empty() || c.rank(node.output(0)) != 1) return false;
  const int list = node.input(2);
  const int asked = c.graph().values[at_index(node.input(0))].producer;
  if (asked < 0) return false;
  const Node& equal = c.graph().nodes[at_index(asked)];
  if (equal.op != "Equal" || (equal.input(0) != list && equal.input(1) != list)) return false;
  const auto is_all = [&](int value, std::int64_t number) {
    const Constant known = c.known(value);
    return known.defined() &&
           std::ranges::all_of(to_integers(known), [&](std::int64_t i) { return i == number; });
  };
  return is_all(equal.input(equal.input(0) == list ? 1 : 0), -1) && is_all(node.input(1), 1);
}

/// The list as it was first made, before it was copied or had its -1 replaced.
int first_list(int value, const Coupling& c) {
  while (value >= 0 && c.seen(value)) {
    const int producer = c.graph().values[at_index(value)].producer;
    if (producer < 0) break;
    const Node& node = c.graph().nodes[at_index(producer)];
    if (is_flat_copy(node, c)) {
      value = node.input(0);
    } else if (keeps_sizes(node, c)) {
      value = node.input(2);
    } else {
      break;
    }
  }
  return value;
}

/// Adds the nodes that read this list as sizes, also by way of its copies. False if something else reads it.
bool add_readers(int value, const Coupling& c, std::vector<const Node*>& readers) {
  if (c.graph().values[at_index(value)].output) return false;
  const auto is_copy = [&](const Node& node) {
    return (is_flat_copy(node, c) && node.input(0) == value) ||
           (keeps_sizes(node, c) && node.input(2) == value);
  };
  const auto asks_for_copy = [&](const Node& node) {
    return node.op == "Equal" && !c.graph().values[at_index(node.output(0))].output &&
           std::ranges::all_of(c.readers(node.output(0)), [&](int n) {
             const Node& next = c.graph().nodes[at_index(n)];
             return is_copy(next) && next.input(0) == node.output(0);
           });
  };
  return std::ranges::all_of(c.readers(value), [&](int n) {
    const Node& node = c.graph().nodes[at_index(n)];
    if (!c.seen(node.output(0))) return false;
    if (is_copy(node)) return add_readers(node.output(0), c, readers);
    if (node.op == "Shape" || asks_for_copy(node)) return true;  // how many sizes there are; which are -1
    const int place = sizes_input(node);
    if (place < 0 || node.input(at_index(place)) != value ||
        std::count(node.inputs.begin(), node.inputs.end(), value) != 1)
      return false;
    readers.push_back(&node);
    return true;
  });
}

}  // namespace

int SizeList::place_of(const Node& reader, int axis, const Coupling& c) const {
  return static_cast<int>(entries.size()) - c.rank(reader.output(0)) + axis;
}

std::optional<SizeList> joined_list(int value, const Coupling& c) {
  const int first = first_list(value, c);
  const int producer = first < 0 ? -1 : c.graph().values[at_index(first)].producer;
  if (producer < 0) return std::nullopt;
  const Node& node = c.graph().nodes[at_index(producer)];
  if (node.op != "Concat" || !node.domain.empty()) return std::nullopt;
  SizeList result{producer, {}};
  for (int part : node.inputs) {
    if (!c.seen(part) || c.rank(part) != 1) return std::nullopt;
    const Constant known = c.known(part);
    const auto count = static_cast<std::size_t>(c.shape(part)[0]);
    const auto entries = known.defined() ? to_integers(known) : std::vector(count, SizeList::kComputed);
    result.entries.insert(result.entries.end(), entries.begin(), entries.end());
  }
  const int last = c.graph().values[at_index(value)].producer;
  if (keeps_sizes(c.graph().nodes[at_index(last)], c)) std::ranges::replace(result.entries, -1, 1);
  return result;
}

int sizes_input(const Node& node) {
  if (!node.domain.empty() || node.has("axes")) return -1;
  const int place = place_of_sizes(node.op);
  return place < 0 || node.input(at_index(place)) < 0 ? -1 : place;
}

std::optional<std::vector<const Node*>> readers_of_sizes(const Coupling& c, int value) {
  std::vector<const Node*> readers;
  if (!add_readers(first_list(value, c), c, readers)) return std::nullopt;
  std::ranges::sort(readers);  // by their place in the graph
  return readers;
}

std::optional<SizeList> size_list(const Node& reader, const Coupling& c) {
  const int place = sizes_input(reader);
  if (place < 0) return std::nullopt;
  const int value = reader.input(at_index(place));
  auto list = joined_list(value, c);
  if (!list || !readers_of_sizes(c, value)) return std::nullopt;
  return list;
}

void tie_readers(const Node& reader, const SizeList& list, Coupling& c) {
  const auto readers = readers_of_sizes(c, reader.input(at_index(sizes_input(reader))));
  for (const Node* other : *readers) {
    if (other == &reader) break;  // those behind it have no labels yet, and will meet this one
    for (int axis = 0; axis < c.rank(reader.output(0)); ++axis) {
      const int place = list.place_of(reader, axis, c);
      const int theirs = place - list.place_of(*other, 0, c);
      if (place >= 0 && list.entries[at_index(place)] > 1 && theirs >= 0)
        c.tie(c.peek(reader.output(0), axis), c.peek(other->output(0), theirs),
              "has its size from the same list");
    }
  }
}

void restate_list(const Node& reader, const SizeList& list, Slicing& s) {
  const Coupling& c = s.coupling();
  s.settle(at_index(sizes_input(reader)));
  std::vector<std::int64_t> entries = list.entries;
  std::vector<bool> changed(entries.size(), false);
  for (int axis = 0; axis < c.rank(reader.output(0)); ++axis) {
    const int place = list.place_of(reader, axis, c);
    if (place < 0 || entries[at_index(place)] <= 1 || !s.cut(reader.output(0), axis)) continue;
    entries[at_index(place)] = s.size_after(reader.output(0), axis);
    changed[at_index(place)] = true;
  }
  const Node& concat = c.graph().nodes[at_index(list.concat)];
  auto first = entries.begin();
  auto any = changed.begin();
  for (std::size_t k = 0; k < concat.inputs.size(); ++k) {
    const int part = concat.inputs[k];
    const auto count = c.shape(part)[0];
    const bool fixed = c.known(part).defined();
    if (fixed && (std::find(any, any + count, true) != any + count || s.resized(part)))
      s.replace_input_of(list.concat, k, integer_tensor({first, first + count}));
    first += count;
    any += count;
  }
}

}  // namespace quboprune
