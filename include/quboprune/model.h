#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "quboprune/file.h"
#include "quboprune/graph.h"

namespace quboprune {

struct LoadOptions {
  /// Files above this many bytes keep their weights on disk, to be read when they are needed: a large network
  /// would otherwise be in memory twice, as stored and as run. Small files would gain nothing.
  std::uint64_t in_memory = std::uint64_t{32} << 20;
};

/// An ONNX file: its graph to work on, and everything else as it came, so that what pruning doesn't touch
/// (names, doc strings, metadata, opsets, unknown fields) is written out again unchanged.
class Model {
 public:
  /// Reads a file, external data included. Throws InputError if there is none, it isn't ONNX, is cut short,
  /// or its graph is inconsistent (a value that no node gives, or that two nodes give).
  static Model load(const std::filesystem::path& path, const LoadOptions& options = {});

  const Graph& graph() const { return graph_; }
  const std::filesystem::path& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }  ///< of the file as it was loaded

  /// The model with the changes that `changed` has against graph(): other constants, attributes, inputs,
  /// nodes left out, constants added, sizes declared. `metadata` is added to the file's own.
  std::string serialized(const Graph& changed, const std::map<std::string, std::string>& metadata = {}) const;
  /// The same, into a file that appears whole or not at all. Throws InputError where it can't be written.
  void save(const std::filesystem::path& path, const Graph& changed,
            const std::map<std::string, std::string>& metadata = {}) const;

 private:
  struct File;
  void write(const Graph& changed, const std::map<std::string, std::string>& metadata,
             const ByteSink& sink) const;

  std::shared_ptr<const File> file_;
  Graph graph_;
  std::filesystem::path path_;
  std::string sha256_;
};

}  // namespace quboprune
