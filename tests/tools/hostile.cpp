// hostile SEED COUNT: damages the files of small random networks byte by byte, cuts them short, and reads,
// analyses and slices what is left. Anything but success or an InputError of one line is a failure: the
// program's own exit tells of crashes. Prints one JSON object.

#include <ATen/Parallel.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "quboprune/channel_groups.h"
#include "quboprune/error.h"
#include "quboprune/model.h"
#include "quboprune/surgery.h"
#include "random_mask.h"
#include "random_network.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

std::string damaged(std::string bytes, Rng& rng) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (rng.below(8) == 0) return bytes.substr(0, rng.below(size));
  // Most bytes are weights; the graph's own lie in front and behind them.
  const std::uint32_t times = 1 + rng.below(4);
  for (std::uint32_t k = 0; k < times; ++k) {
    const std::uint32_t near = rng.below(std::min(size, 1500U));
    const std::uint32_t at = rng.below(2) == 0 ? near : rng.below(size);
    switch (rng.below(3)) {
      case 0:
        bytes[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1U << rng.below(8)));
        break;
      default:
        bytes.erase(at, 1);
        bytes.insert(rng.below(static_cast<std::uint32_t>(bytes.size())), 1,
                     static_cast<char>(rng.below(256)));
    }
  }
  return bytes;
}

struct Counts {
  int accepted = 0, refused = 0;
  nlohmann::json failures = nlohmann::json::array();
};

void read(const fs::path& path, std::uint64_t seed, Counts& counts) {
  try {
    // Every second file is read like a large one, whose weights stay in it.
    const Model model = seed % 2 == 0 ? Model::load(path) : Model::load(path, {.in_memory = 0});
    const ChannelGroups groups = analyse(model.graph());
    const Graph sliced = slice(groups, random_mask(groups, 0.3, seed));
    model.serialized(sliced);
    ++counts.accepted;
  } catch (const InputError& e) {
    ++counts.refused;
    if (std::string(e.what()).find('\n') != std::string::npos)
      counts.failures.push_back({{"seed", seed}, {"lines", e.what()}});
  } catch (const std::exception& e) {
    counts.failures.push_back({{"seed", seed}, {"error", e.what()}});
  }
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  using namespace quboprune;
  if (argc != 3) {
    std::cerr << "usage: hostile SEED COUNT\n";
    return 2;
  }
  at::set_num_threads(1);
  const auto first = std::stoull(argv[1]);
  const fs::path path = fs::temp_directory_path() / ("hostile" + std::to_string(first) + ".onnx");
  Counts counts;
  for (auto seed = first; seed < first + std::stoull(argv[2]); ++seed) {
    Rng rng(seed);
    const std::string bytes = damaged(random_network(seed % 20).SerializeAsString(), rng);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    read(path, seed, counts);
  }
  fs::remove(path);
  std::cout << nlohmann::json{{"accepted", counts.accepted},
                              {"refused", counts.refused},
                              {"failures", counts.failures}}
                   .dump(1)
            << "\n";
  return counts.failures.empty() ? 0 : 1;
}
