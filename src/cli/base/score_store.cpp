#include "cli/base/score_store.h"

#include "core/stored_json.h"

namespace quboprune {

using nlohmann::json;

void to_json(json& j, const SimilarityBlock& b) {
  j = {{"groups", b.groups}, {"cosine", b.cosine}, {"pearson", b.pearson}};
}

void from_json(const json& j, SimilarityBlock& b) {
  j.at("groups").get_to(b.groups);
  j.at("cosine").get_to(b.cosine);
  j.at("pearson").get_to(b.pearson);
}

void store_scores(const std::filesystem::path& path, const std::string& key, const Scores& s) {
  store_json(path, key,
             {{"groups", s.groups},
              {"l1", s.l1},
              {"l2", s.l2},
              {"taylor", s.taylor},
              {"taylor_weight", s.taylor_weight},
              {"fisher", s.fisher},
              {"energy", s.energy},
              {"rows", s.rows},
              {"gradients", s.gradients},
              {"probe_rows", s.probe_rows},
              {"probes", s.probes},
              {"similarity", s.similarity},
              {"label_free", s.label_free}});
}

std::optional<Scores> stored_scores(const std::filesystem::path& path, const std::string& key) {
  const json j = stored_json(path, key);
  if (!j.is_object()) return std::nullopt;
  Scores s;
  j.at("groups").get_to(s.groups);
  j.at("l1").get_to(s.l1);
  j.at("l2").get_to(s.l2);
  j.at("taylor").get_to(s.taylor);
  j.at("taylor_weight").get_to(s.taylor_weight);
  j.at("fisher").get_to(s.fisher);
  j.at("energy").get_to(s.energy);
  j.at("rows").get_to(s.rows);
  j.at("gradients").get_to(s.gradients);
  j.at("probe_rows").get_to(s.probe_rows);
  j.at("probes").get_to(s.probes);
  j.at("similarity").get_to(s.similarity);
  j.at("label_free").get_to(s.label_free);
  return s;
}

}  // namespace quboprune
