#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quboprune {

/// What is split: each item's name, scene and group (its class; 0 where there are none).
struct SplitItem {
  std::string name;
  std::string scene;
  int group = 0;
};

/// An item, or the part of an image's longer side from `begin` to `end` (of 0..1).
struct Piece {
  std::size_t item = 0;
  double begin = 0;
  double end = 1;
};

struct Split {
  std::vector<Piece> calibration;
  std::vector<Piece> heldout;
  std::vector<std::string> notes;  ///< for Dataset::notes
  bool apart = true;               ///< see Manifest
};

/// The scene that a file name tells of: the name without its extension and the last number set apart by
/// one of _ - . or a blank, also with s, p, crop, patch, tile or sub before it ("flower_12.JPG" and
/// "flower_s012.png" are of the scene "flower"; "kodim07.png" of its own).
std::string scene_of(std::string_view file_name);

/// Where several files are of one scene by their names and nothing but a plain number tells them apart
/// ("photo_0.png" to "photo_39.png"), that says nothing: each becomes a scene of its own, and `notes` says
/// so. Crops ("flower_s012.png") are left as they are.
void part_numbered_series(std::vector<SplitItem>& items, std::vector<std::string>& notes);

/// Splits as DataOptions::split says. Within each group the scenes are ordered by a hash of their names,
/// so that the split depends on nothing but the names. `cuttable`: the items are images that may be cut
/// in two where there is one scene only.
/// Throws InputError (beginning with `source`) if a part would be empty or the specification isn't one.
Split split_scenes(const std::vector<SplitItem>& items, const std::string& specification, bool cuttable,
                   const std::string& source);

/// A hash of a text that is the same on every platform (FNV-1a, 64 bit).
std::uint64_t stable_hash(std::string_view text);

/// The pieces in an order that visits all scenes before any of them twice, the groups taking turns.
std::vector<Piece> spread_over_scenes(const std::vector<Piece>& pieces, const std::vector<SplitItem>& items);

}  // namespace quboprune
