#include "search/ledger.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/clock.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

std::string to_hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Empty where the text isn't the hexadecimal of `size` bytes.
std::string from_hex(const std::string& text, std::size_t size) {
  std::string bytes;
  if (text.size() != 2 * size) return bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

}  // namespace

Ledger::Ledger(const MaskObjective& objective, int n, const SearchOptions& options, const Control& control)
    : objective_(objective), n_(n), options_(options), control_(control) {
  if (options_.state.empty()) return;
  load();
  check_writable(options_.state);
}

/// The mask's bits, eight to a byte.
std::string Ledger::key(const Mask& mask) {
  std::string bytes((mask.size() + 7) / 8, '\0');
  // Bits as arithmetic: a branch would be guessed wrong half the time.
  for (std::size_t i = 0; i < mask.size(); ++i)
    bytes[i / 8] = static_cast<char>(bytes[i / 8] | ((mask[i] != 0 ? 1 : 0) << (i % 8)));
  return bytes;
}

bool Ledger::finished() {
  if (control_.stopped())
    result_.reason = "stopped";
  else if (result_.evaluations >= options_.evaluations)
    result_.reason = "evaluations";
  else if (options_.time_limit > 0 && seconds_since(start_) >= options_.time_limit)
    result_.reason = "time limit";
  return !result_.reason.empty();
}

std::vector<Evaluated> Ledger::evaluate(std::span<const Mask> masks) {
  std::vector<Evaluated> items;
  std::vector<Values::pointer> entries;
  for (const Mask& mask : masks) {
    if (result_.evaluations + static_cast<std::int64_t>(items.size()) >= options_.evaluations) break;
    // The value is filled in below; being there is what keeps a second copy out.
    const auto [entry, is_new] = values_.emplace(key(mask), 0.0);
    if (!is_new) continue;
    items.push_back({mask, 0.0});
    entries.push_back(&*entry);
  }
  compute(items, entries);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].value = entries[i]->second;
    record(items[i]);
  }
  save_now_and_then();
  control_.report("refine", static_cast<double>(result_.evaluations),
                  static_cast<double>(options_.evaluations), result_.value);
  return items;
}

/// Fills in the items' entries in values_.
void Ledger::compute(std::span<const Evaluated> items, std::span<const Values::pointer> entries) {
  std::vector<Mask> asked;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto found = stored_.find(entries[i]->first);
    if (found != stored_.end()) {
      entries[i]->second = found->second;
    } else {
      asked.push_back(items[i].mask);
      places.push_back(i);
    }
  }
  if (asked.empty()) return;
  const auto before = Clock::now();
  const std::vector<double> values = [&] {
    try {
      std::vector<double> given = objective_(asked);
      if (std::ranges::find(given, -std::numeric_limits<double>::infinity()) != given.end())
        throw InputError(
            "mask search: the objective gave -infinity; give finite values, or +infinity for a mask that "
            "can't be used");
      return given;
    } catch (...) {  // what was measured before isn't lost to it
      for (const std::size_t i : places) values_.erase(std::string(entries[i]->first));
      save();
      throw;
    }
  }();
  objective_seconds_ += seconds_since(before);
  if (values.size() != asked.size())
    throw InputError("mask search: the objective gave " + std::to_string(values.size()) + " values for " +
                     std::to_string(asked.size()) + " masks; give one a mask");
  for (std::size_t i = 0; i < places.size(); ++i)
    entries[places[i]]->second = std::isnan(values[i]) ? std::numeric_limits<double>::infinity() : values[i];
  result_.computed += static_cast<std::int64_t>(asked.size());
}

void Ledger::record(const Evaluated& item) {
  ++result_.evaluations;
  if (item.value < result_.value || result_.best.empty()) {
    result_.best = item.mask;
    result_.value = item.value;
    result_.history.push_back({result_.evaluations, item.value});
  }
  const auto place = std::upper_bound(elite_.begin(), elite_.end(), item.value,
                                      [](double value, const Evaluated& e) { return value < e.value; });
  elite_.insert(place, item);
  if (static_cast<int>(elite_.size()) > options_.top) elite_.pop_back();
}

void Ledger::load() {
  if (is_absent(options_.state)) return;
  const std::string hint =
      options_.state.string() + ": not a state of this search; remove it or name another";
  const auto json = nlohmann::json::parse(read_file(options_.state), nullptr, false);
  if (!json.is_object() || json.value("variables", nlohmann::json()) != n_ ||
      json.value("problem", nlohmann::json()) != options_.problem || !json.contains("masks") ||
      !json["masks"].is_object())
    throw InputError(hint);
  for (const auto& [text, value] : json["masks"].items()) {
    const std::string bytes = from_hex(text, (static_cast<std::size_t>(n_) + 7) / 8);
    if (bytes.empty() || !(value.is_number() || value.is_null())) throw InputError(hint);
    stored_[bytes] = value.is_null() ? std::numeric_limits<double>::infinity() : value.get<double>();
  }
}

void Ledger::save() {
  if (options_.state.empty()) return;
  const auto before = Clock::now();
  nlohmann::json masks = nlohmann::json::object();
  for (const auto& [bytes, value] : stored_) masks[to_hex(bytes)] = value;
  for (const auto& [bytes, value] : values_) masks[to_hex(bytes)] = value;  // infinity becomes null
  try {
    write_file_atomically(
        options_.state,
        nlohmann::json{{"variables", n_}, {"problem", options_.problem}, {"masks", masks}}.dump());
    result_.unsaved.clear();
  } catch (const InputError& error) {  // a disk that is full must not throw the search away
    result_.unsaved = error.what();
  }
  saved_ = Clock::now();
  save_seconds_ = seconds_since(before);
}

void Ledger::save_now_and_then() {
  if (!options_.state.empty() && seconds_since(saved_) >= 20 * save_seconds_) save();
}

SearchResult Ledger::finish(std::string reason) {
  if (result_.reason.empty()) result_.reason = std::move(reason);
  save();
  result_.seconds = seconds_since(start_);
  result_.seconds_outside_objective = result_.seconds - objective_seconds_;
  return result_;
}

}  // namespace quboprune
