#include "cli/base/score_store.h"

#include "core/stored_json.h"

namespace quboprune {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SimilarityBlock, groups, cosine, pearson)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Scores, groups, l1, l2, taylor, taylor_weight, fisher, energy, rows,
                                   gradients, probe_rows, probes, similarity, label_free)

void store_scores(const std::filesystem::path& path, const std::string& key, const Scores& scores) {
  store_json(path, key, scores);
}

std::optional<Scores> stored_scores(const std::filesystem::path& path, const std::string& key) {
  const nlohmann::json stored = stored_json(path, key);
  if (!stored.is_object()) return std::nullopt;
  return stored.get<Scores>();
}

}  // namespace quboprune
