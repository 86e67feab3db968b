#include "data/split.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

/// Scenes of each group, in the order of their hashes. Groups of one scene are put together: on its own
/// none of them could be split.
std::vector<std::vector<std::string>> hashed_scenes(const std::vector<SplitItem>& items) {
  std::map<int, std::set<std::string>> groups;
  for (const SplitItem& item : items) groups[item.group].insert(item.scene);
  std::vector<std::vector<std::string>> result(1);
  for (const auto& [group, scenes] : groups) {
    if (scenes.size() == 1)
      result.front().push_back(*scenes.begin());
    else
      result.emplace_back(scenes.begin(), scenes.end());
  }
  for (auto& scenes : result)
    std::stable_sort(scenes.begin(), scenes.end(), [](const std::string& a, const std::string& b) {
      return stable_hash(a) < stable_hash(b);
    });
  return result;
}

Split split_by_fraction(const std::vector<SplitItem>& items, double fraction) {
  std::set<std::string> calibration;
  for (const auto& scenes : hashed_scenes(items)) {
    const double count = static_cast<double>(scenes.size());
    // Each part gets at least one scene; a single one goes to calibration.
    double kept = std::max(1.0, std::min(std::round(fraction * count), count - 1));
    for (const std::string& scene : scenes)
      if (kept-- > 0) calibration.insert(scene);
  }
  Split result;
  for (std::size_t i = 0; i < items.size(); ++i)
    (calibration.count(items[i].scene) ? result.calibration : result.heldout).push_back({i});
  return result;
}

Split split_by_position(const std::vector<SplitItem>& items, double fraction) {
  constexpr double gap = 0.02;  // neither part's: next to the cut both would show the same things
  Split result;
  for (std::size_t i = 0; i < items.size(); ++i) {
    result.calibration.push_back({i, 0, fraction - gap / 2});
    result.heldout.push_back({i, fraction + gap / 2, 1});
  }
  result.notes.push_back(
      "all images are of one scene ('" + items.front().scene +
      "', by their names): each was cut across its longer side, one end for calibration, the "
      "other held out; name held-out files in a text file (--split FILE) to split otherwise");
  return result;
}

std::string trimmed(const std::string& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

std::string stem(const std::string& name) {
  return std::filesystem::path(name).stem().string();
}

Split split_by_list(const std::vector<SplitItem>& items, const std::string& file) {
  std::ifstream lines = open_file(file);
  std::vector<bool> heldout(items.size(), false);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // some editors' mark of UTF-8
    const std::string wanted = trimmed(line.substr(0, line.find('#')));
    if (wanted.empty()) continue;
    bool found = false;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].scene == wanted || items[i].name == wanted || stem(items[i].name) == wanted)
        found = heldout[i] = true;
    if (!found)
      throw InputError(file + ", line " + std::to_string(number) + ": no scene or sample is called '" +
                       wanted + "'");
  }
  Split result;
  std::set<std::string> calibration_scenes;
  for (std::size_t i = 0; i < items.size(); ++i) {
    (heldout[i] ? result.heldout : result.calibration).push_back({i});
    if (!heldout[i]) calibration_scenes.insert(items[i].scene);
  }
  for (const Piece& piece : result.heldout)
    if (calibration_scenes.count(items[piece.item].scene)) {
      result.notes.push_back(
          "by their names, some held-out samples are of a scene that is also in the calibration "
          "part ('" +
          items[piece.item].scene + "'); they were parted as " + file + " says");
      break;
    }
  return result;
}

bool parse_fraction(const std::string& text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

bool one_scene(const std::vector<SplitItem>& items) {
  return std::all_of(items.begin(), items.end(),
                     [&](const SplitItem& item) { return item.scene == items.front().scene; });
}

Split split_into(const std::vector<SplitItem>& items, const std::string& specification, bool cuttable,
                 const std::string& source) {
  double fraction = 0.5;
  if (specification != "auto" && !parse_fraction(specification, fraction)) {
    if (std::filesystem::is_regular_file(specification)) return split_by_list(items, specification);
    throw InputError("--split: '" + specification +
                     "' is neither auto, all, a number between 0 and 1, nor a file");
  }
  if (!(fraction > 0 && fraction < 1))
    throw InputError("--split: the calibration part is " + specification + "; it has to lie between 0 and 1");
  if (!one_scene(items)) return split_by_fraction(items, fraction);
  if (cuttable) return split_by_position(items, fraction);
  throw InputError(source +
                   ": holds one sample only, so that none can be held out; add data or use --split all");
}

}  // namespace

std::string scene_of(std::string_view file_name) {
  const std::string name = stem(std::string(file_name));
  constexpr std::string_view kBetween = "_-. ";
  const auto before_digits = name.find_last_not_of("0123456789");
  if (before_digits == std::string::npos || before_digits + 1 == name.size()) return name;
  // "0001_s003": what scripts that cut crops write before the number.
  const auto between = name.find_last_of(kBetween, before_digits);
  if (between == std::string::npos) return name;
  const std::string word = name.substr(between + 1, before_digits - between);
  if (constexpr std::array kCrops = {"", "s", "p", "crop", "patch", "tile", "sub"};
      std::ranges::find(kCrops, word) == kCrops.end())
    return name;
  const auto last = name.find_last_not_of(kBetween, between);
  return last == std::string::npos ? name : name.substr(0, last + 1);
}

void part_numbered_series(std::vector<SplitItem>& items, std::vector<std::string>& notes) {
  const std::string scene = items.front().scene;
  const auto numbered = [&](const SplitItem& item) {
    const std::string name = stem(item.name);
    return item.scene == scene && name.starts_with(scene) && name != scene &&
           name.find_first_not_of("0123456789_-. ", scene.size()) == std::string::npos;
  };
  if (items.size() < 2 || !std::ranges::all_of(items, numbered)) return;
  for (SplitItem& item : items) item.scene = stem(item.name);
  notes.push_back(
      "the files' names differ by a number only ('" + items.front().name +
      "'): they were taken for different scenes; if they show the same one, name the held-out files in a "
      "text file (--split FILE)");
}

std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  // FNV leaves the high bits of similar short names alike; comparisons look at those first.
  hash ^= hash >> 33;
  hash *= 0xFF51AFD7ED558CCDULL;
  return hash ^ (hash >> 33);
}

Split split_scenes(const std::vector<SplitItem>& items, const std::string& specification, bool cuttable,
                   const std::string& source) {
  check(!items.empty(), "a source without items was to be split");
  if (specification == "all") {
    Split result;
    for (std::size_t i = 0; i < items.size(); ++i) result.calibration.push_back({i});
    result.heldout = result.calibration;
    result.apart = false;
    result.notes.push_back(
        "no split was made (--split all): what is called held-out is the calibration data itself");
    return result;
  }
  Split result = split_into(items, specification, cuttable, source);
  if (result.calibration.empty()) throw InputError(source + ": the split leaves nothing for calibration");
  if (result.heldout.empty()) throw InputError(source + ": the split holds nothing out");
  return result;
}

std::vector<Piece> spread_over_scenes(const std::vector<Piece>& pieces, const std::vector<SplitItem>& items) {
  std::map<std::string, std::vector<Piece>> scenes;
  std::vector<std::string> order;
  for (const Piece& piece : pieces) {
    auto& members = scenes[items[piece.item].scene];
    if (members.empty()) order.push_back(items[piece.item].scene);
    members.push_back(piece);
  }
  std::stable_sort(order.begin(), order.end(), [](const std::string& a, const std::string& b) {
    return stable_hash(a) < stable_hash(b);
  });
  // The first scene of each group, then the second of each.
  std::map<int, std::size_t> taken;
  std::map<std::string, std::size_t> turn;
  for (const std::string& scene : order) turn[scene] = taken[items[scenes[scene].front().item].group]++;
  std::ranges::stable_sort(order, {}, [&](const std::string& scene) { return turn[scene]; });
  std::vector<Piece> result;
  for (std::size_t round = 0; result.size() < pieces.size(); ++round)
    for (const std::string& scene : order)
      if (round < scenes[scene].size()) result.push_back(scenes[scene][round]);
  return result;
}

}  // namespace quboprune
