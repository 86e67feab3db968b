#pragma once

#include <string>
#include <vector>

#include "model/test_net.h"
#include "quboprune/dataset.h"

namespace quboprune::testing {

/// Samples of two scenes that hold the same images: what is fitted on one serves the other just as well.
inline std::vector<Sample> twin_scenes(int each, const std::vector<std::int64_t>& shape) {
  std::vector<Sample> samples;
  for (const std::string scene : {"a", "b"}) {
    for (int i = 0; i < each; ++i) {
      samples.push_back(Sample{numbers(shape, 100 + static_cast<std::uint64_t>(i)), at::Tensor(),
                               scene + std::to_string(i), scene});
    }
  }
  return samples;
}

/// Samples of one scene with targets, both of uniform numbers in [-1, 1).
inline std::vector<Sample> random_samples(int count, const std::vector<std::int64_t>& input,
                                          const std::vector<std::int64_t>& target, Rng& rng) {
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i)
    samples.push_back({uniform(input, rng), uniform(target, rng), std::to_string(i), "scene"});
  return samples;
}

}  // namespace quboprune::testing
