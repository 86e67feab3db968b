#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "quboprune/scores.h"

namespace quboprune {

/// --work: where stages keep what another run may take up. Without a folder nothing is kept.
class WorkFolder {
 public:
  WorkFolder() = default;
  /// Makes the folder; throws InputError where that can't be done.
  explicit WorkFolder(const std::string& folder);

  /// A file or folder of its own for each problem (all that what is in it depends on), so that others neither
  /// take it up nor overwrite it; empty without a folder.
  std::filesystem::path place(const std::string& name, const std::string& problem,
                              const std::string& ending) const;

  /// The scores that were kept for this problem, as bits; those of another one, or of a damaged file, aren't
  /// taken up.
  std::optional<Scores> scores(const std::string& problem) const;
  /// Why they couldn't be kept; empty if they were, or there is no folder.
  std::string keep(const Scores& scores, const std::string& problem) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace quboprune
