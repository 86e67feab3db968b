#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/base/coupling.h"
#include "ops/base/slicing.h"

namespace quboprune {

/// A list of sizes that a Concat joins from fixed entries and computed ones: how exports with open sizes
/// write the shape of a Reshape, an Expand, a Resize or a fill. The computed entries follow by themselves or
/// don't count channels; the fixed ones are stated anew when channels go.
struct SizeList {
  static constexpr std::int64_t kComputed = -2;  ///< an entry that each run computes

  int concat = -1;                    ///< the node that joins the entries
  std::vector<std::int64_t> entries;  ///< a size, or kComputed

  bool computed(int place) const { return entries[static_cast<std::size_t>(place)] == kComputed; }
  /// Which entry is the size of an axis of the reader's output; below 0: none.
  int place_of(const Node& reader, int axis, const Coupling& coupling) const;
};

/// The list as its Concat has it, whoever reads it; nothing if it isn't joined so.
std::optional<SizeList> joined_list(int value, const Coupling& coupling);

/// Which of its inputs holds the sizes of the node's output; -1: none.
int sizes_input(const Node& node);

/// The nodes that read this list, or a copy of it, as the sizes of their output; nothing if something else
/// reads it too.
std::optional<std::vector<const Node*>> readers_of_sizes(const Coupling& coupling, int value);

/// The list of sizes that this node reads, if it may be stated anew: nothing but sizes are made of it.
std::optional<SizeList> size_list(const Node& reader, const Coupling& coupling);

/// Ties the labels of all values whose sizes are the fixed entries of one list.
void tie_readers(const Node& reader, const SizeList& list, Coupling& coupling);

/// States the fixed entries anew for what is left of the axes of the reader's output.
void restate_list(const Node& reader, const SizeList& list, Slicing& slicing);

}  // namespace quboprune
