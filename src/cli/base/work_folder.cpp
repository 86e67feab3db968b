#include "cli/base/work_folder.h"

#include <nlohmann/json.hpp>

#include "cli/base/outputs.h"
#include "core/stored_json.h"
#include "quboprune/file.h"

namespace quboprune {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SimilarityBlock, groups, cosine, pearson)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Scores, groups, l1, l2, taylor, taylor_weight, fisher, energy, rows,
                                   gradients, probe_rows, probes, similarity, label_free)

WorkFolder::WorkFolder(const std::string& folder) : folder_(folder) {
  make_folder(folder, "--work");
}

std::filesystem::path WorkFolder::place(const std::string& name, const std::string& problem,
                                        const std::string& ending) const {
  if (folder_.empty()) return {};
  return folder_ / (name + "-" + sha256_of_bytes(problem).substr(0, 12) + ending);
}

std::optional<Scores> WorkFolder::scores(const std::string& problem) const {
  if (folder_.empty()) return std::nullopt;
  const nlohmann::json stored = stored_json(place("scores", problem, ".cbor"), problem);
  if (!stored.is_object()) return std::nullopt;
  return stored.get<Scores>();
}

std::string WorkFolder::keep(const Scores& scores, const std::string& problem) const {
  return folder_.empty() ? "" : try_to_store_json(place("scores", problem, ".cbor"), problem, scores);
}

}  // namespace quboprune
