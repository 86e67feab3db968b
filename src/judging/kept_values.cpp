#include "quboprune/kept_values.h"

#include <cmath>

#include "core/stored_json.h"
#include "core/text.h"
#include "quboprune/error.h"

namespace quboprune {

KeptValues::KeptValues(std::filesystem::path file, std::string problem)
    : file_(std::move(file)), problem_(std::move(problem)) {
  take_up();
}

void KeptValues::take_up() {
  const nlohmann::json stored = stored_json(file_, problem_);
  if (!stored.is_array()) return;
  for (const auto& entry : stored) {
    const auto theirs = entry.at("values").get<Values>();
    const auto [ours, fresh] = known_.try_emplace({entry.at("question"), entry.at("mask")}, theirs);
    for (std::size_t i = 0; i < ours->second.size() && ours->second.size() == theirs.size(); ++i)
      if (std::isnan(ours->second[i])) ours->second[i] = theirs[i];
  }
}

const KeptValues::Values* KeptValues::find(const std::string& question, const Mask& mask) const {
  const auto found = known_.find({question, text_of(mask)});
  return found == known_.end() ? nullptr : &found->second;
}

void KeptValues::keep(const std::string& question, const Mask& mask, Values values) {
  known_[{question, text_of(mask)}] = std::move(values);
  if (file_.empty()) return;
  try {
    take_up();  // what another process has written since
  } catch (const InputError& unreadable) {
    unsaved_ = unreadable.what();
    return;
  }
  nlohmann::json all = nlohmann::json::array();
  for (const auto& [asked, answer] : known_)
    all.push_back({{"question", asked.first}, {"mask", asked.second}, {"values", answer}});
  unsaved_ = try_to_store_json(file_, problem_, std::move(all));
}

}  // namespace quboprune
