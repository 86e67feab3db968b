#include "ops/base/target_shape.h"

#include <algorithm>

#include "core/index.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

/// Is this axis of the input the only one of its sizes? In a network that takes squares alone, height and
/// width look alike.
bool stands_alone(int value, std::size_t axis, const Coupling& c) {
  for (std::size_t b = 0; b < c.shape(value).size(); ++b) {
    if (b != axis && c.shape(value)[b] == c.shape(value)[axis] &&
        c.other_shape(value)[b] == c.other_shape(value)[axis])
      return false;
  }
  return true;
}

/// Fixed sizes, copies, and at most one -1; nothing if that can't say it.
std::optional<std::vector<std::int64_t>> constant_entries(const Node& node, const Coupling& c) {
  if (auto known = known_integers(node, c, 1, "shape");
      known && (node.input(1) < 0 || c.graph().values[at_index(node.input(1))].is_constant()))
    return known;
  const int from = node.input(0);
  const int to = node.output(0);
  std::vector<std::int64_t> result = c.shape(to);
  int open = 0;
  for (std::size_t a = 0; a < result.size(); ++a) {
    if (c.shape(to)[a] == c.other_shape(to)[a]) continue;
    const bool copied = static_cast<int>(a) < c.rank(from) && c.shape(from)[a] == c.shape(to)[a] &&
                        c.other_shape(from)[a] == c.other_shape(to)[a] && stands_alone(from, a, c);
    result[a] = copied ? 0 : -1;
    open += copied ? 0 : 1;
  }
  if (open > 1) return std::nullopt;
  return result;
}

/// The list as the Concat that joins it has it. Nothing where channels lie on an entry that is computed (a
/// constant may say it, whatever else the size counts), or where something else reads the list.
std::optional<TargetShape> joined_entries(const Node& reshape, const Coupling& c) {
  auto list = size_list(reshape, c);
  const int out = reshape.output(0);
  if (!list || static_cast<int>(list->entries.size()) != c.rank(out)) return std::nullopt;
  for (int axis = 0; axis < c.rank(out); ++axis) {
    if (list->computed(axis) && !c.peek(out, axis).empty()) return std::nullopt;
  }
  return TargetShape{*std::move(list), -1};
}

/// The list as each run computes it, where constants can't say it.
std::optional<TargetShape> computed_entries(const Node& reshape, const Coupling& c) {
  const int shape = reshape.input(1);
  if (shape < 0 || c.graph().values[at_index(shape)].is_constant()) return std::nullopt;
  const auto rank = at_index(c.rank(reshape.output(0)));
  if (auto list = size_list(reshape, c); list && list->entries.size() == rank)
    return TargetShape{*std::move(list), -1};
  return TargetShape{{-1, std::vector(rank, SizeList::kComputed)}, -1};
}

}  // namespace

std::optional<TargetShape> target_shape(const Node& reshape, const Coupling& c) {
  const int shape = reshape.input(1);
  const int producer = shape < 0 ? -1 : c.graph().values[at_index(shape)].producer;
  if (producer >= 0) {
    const Node& node = c.graph().nodes[at_index(producer)];
    if (node.op == "Shape" && node.domain.empty() && c.rank(node.input(0)) == c.rank(reshape.output(0)))
      return TargetShape{{-1, c.shape(reshape.output(0))}, node.input(0)};
    // Before constants: a size that was the same in both runs may be another in a third.
    if (auto joined = joined_entries(reshape, c)) return joined;
  }
  if (auto constant = constant_entries(reshape, c)) return TargetShape{{-1, *std::move(constant)}, -1};
  return computed_entries(reshape, c);
}

void tie_same_shapes(const Node& reshape, const TargetShape& shape, Coupling& c) {
  for (int axis = 0; shape.like >= 0 && axis < c.rank(shape.like); ++axis)
    c.tie(c.peek(reshape.output(0), axis), c.peek(shape.like, axis),
          "has its size from channels that must stay");
  if (shape.list.concat >= 0) tie_readers(reshape, shape.list, c);
}

bool shares_shape(const Node& reshape, const Coupling& c) {
  const int shape = reshape.input(1);
  if (c.graph().values[at_index(shape)].is_constant()) return false;
  const auto readers = readers_of_sizes(c, shape);
  return readers && readers->size() > 1;
}

void restate_shape(const Node& reshape, const TargetShape& shape, Slicing& s) {
  s.settle(1);
  if (shape.like >= 0) return;
  if (shape.list.concat >= 0) {
    restate_list(reshape, shape.list, s);
    return;
  }
  std::vector<std::int64_t> entries = shape.list.entries;
  if (std::ranges::count(entries, SizeList::kComputed) > 0) return;
  for (std::size_t a = 0; a < entries.size(); ++a) {
    const int axis = static_cast<int>(a);
    if (entries[a] > 0 && s.cut(reshape.output(0), axis)) entries[a] = s.size_after(reshape.output(0), axis);
  }
  const bool constant = s.coupling().graph().values[at_index(reshape.input(1))].is_constant();
  if (!constant) s.remove_attribute("allowzero");  // the zeros are ours, and copy
  s.replace_input(1, integer_tensor(entries));
}

}  // namespace quboprune
