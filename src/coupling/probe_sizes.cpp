#include "coupling/probe_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::array<std::int64_t, 6> kUsual = {128, 64, 224, 256, 512, 32};
constexpr std::array<std::int64_t, 4> kOthers = {96, 160, 192, 448};
/// What images are often cut to, and products of many small factors.
constexpr std::array<std::int64_t, 20> kImages = {28,  240, 299, 336, 384, 227, 300, 320, 331, 192,
                                                  416, 448, 480, 600, 608, 640, 720, 768, 840, 1024};
/// A second of sound and parts of it, for inputs of one open dimension of positions.
constexpr std::array<std::int64_t, 14> kSound = {1000, 1024,  2000,  2048,  4000,  4096,  8000,
                                                 8192, 16000, 16384, 22050, 32000, 44100, 48000};
/// Each of these at last: a network that wants multiples of something wants one of them.
constexpr std::int64_t kFrom = 16, kTo = 160;
/// Samples of more positions aren't tried before the usual sizes: a probe should take no time.
constexpr std::int64_t kQuick = std::int64_t{1} << 18;
constexpr std::int64_t kLargest = std::int64_t{1} << 30;
/// A second run after one of at most this size stays near it: attention over positions grows with their
/// square.
constexpr std::int64_t kSmall = 64;
constexpr std::int64_t kStretched = 512;  // beyond that six times the positions are too many

const Value& input_value(const Graph& graph, std::size_t k) {
  return graph.values[static_cast<std::size_t>(graph.inputs[k])];
}

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (auto d : shape) count = d > kLargest || count > kLargest ? kLargest + 1 : count * d;
  return count;
}

bool within_limits(const InputShapes& shapes) {
  return std::all_of(shapes.begin(), shapes.end(), [](const auto& s) { return elements(s) <= kLargest; });
}

/// Channels that the first convolution reading this input wants, for files that leave them open.
std::int64_t channels_wanted(const Graph& graph, int input) {
  for (const auto& node : graph.nodes) {
    if (node.op != "Conv" || node.input(0) != input || node.input(1) < 0) continue;
    const auto& weight = graph.values[static_cast<std::size_t>(node.input(1))].constant;
    if (weight.defined() && weight.dim() >= 3) return weight.size(1) * node.integer("group", 1);
  }
  return 3;
}

/// Does the network turn channels from last to first, what comes before that being done to each number alone?
bool moves_channels_forward(const Graph& graph, int value) {
  static const std::set<std::string> kOfEach{"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Sub"};
  static const std::vector<std::int64_t> kForward{0, 3, 1, 2};
  std::set<int> as_before{value};  // values made of this one number by number
  for (const Node& node : graph.nodes) {
    if (std::ranges::none_of(node.inputs, [&](int v) { return as_before.contains(v); })) continue;
    if (node.op == "Transpose" && node.integers("perm") == kForward) return true;
    if (kOfEach.contains(node.op)) as_before.insert(node.output(0));
  }
  return false;
}

/// The first axis of an input that holds positions: behind the channels, but for images with their channels
/// last.
std::size_t first_position(const Graph& graph, std::size_t k) {
  const auto& declared = input_value(graph, k).shape;
  const bool channels_last = declared.size() == 4 && declared[1] < 0 && declared[3] >= 1 &&
                             moves_channels_forward(graph, graph.inputs[k]);
  return declared.size() == 2 || channels_last ? 1 : 2;
}

/// `sizes`: of the first axis of positions, the second, and so on, from the front again where there are more.
InputShapes filled(const Graph& graph, const std::vector<std::int64_t>& sizes, std::int64_t batch) {
  InputShapes shapes;
  for (std::size_t k = 0; k < graph.inputs.size(); ++k) {
    std::vector<std::int64_t> shape = input_value(graph, k).shape;
    const std::size_t first = first_position(graph, k);
    for (std::size_t a = 0; a < shape.size(); ++a) {
      if (shape[a] >= 0) continue;
      shape[a] = a == 0      ? batch
                 : a < first ? channels_wanted(graph, graph.inputs[k])
                             : sizes[(a - first) % sizes.size()];
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

InputShapes filled(const Graph& graph, std::int64_t size, std::int64_t batch) {
  return filled(graph, std::vector{size}, batch);
}

/// Open sizes of a shape as an array has them, from axis `first` of the array on. The array may lack the
/// batch axis.
void fill_from(const std::vector<std::int64_t>& array, std::size_t first,
               const std::vector<std::int64_t>& declared, std::vector<std::int64_t>& shape) {
  if (array.size() > shape.size()) return;
  const std::size_t before = shape.size() - array.size();
  for (std::size_t a = first; a < array.size(); ++a) {
    if (declared[a + before] < 0 && array[a] > 0) shape[a + before] = array[a];
  }
}

/// With the sample's sizes; nothing where it doesn't fit the first input. Of other inputs those without an
/// array take the same positions, if they are of the same rank, else the last.
InputShapes filled_like(const Graph& graph, const SampleSizes& sample) {
  const auto& input = sample.input;
  if (input.empty() || graph.inputs.empty()) return {};
  const auto& declared = input_value(graph, 0).shape;
  if (declared.size() != input.size() + 1) return {};
  for (std::size_t a = 0; a < input.size(); ++a) {
    if (input[a] < 1 || (declared[a + 1] >= 0 && declared[a + 1] != input[a])) return {};
  }
  InputShapes shapes = filled(graph, input.back(), 1);
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const Value& value = input_value(graph, k);
    const auto own = sample.others.find(value.name);
    if (k > 0 && own != sample.others.end())
      fill_from(own->second, 0, value.shape, shapes[k]);
    else if (shapes[k].size() == input.size() + 1)
      fill_from(input, k == 0 ? 0 : 1, value.shape, shapes[k]);
  }
  return shapes;
}

struct Fraction {
  std::int64_t numerator, denominator;
};

/// The open positions of a first run's shapes, times a fraction by axis (from the front again where there are
/// more axes), and the batch. A single position stays one: it serves all.
InputShapes scaled(const Graph& graph, InputShapes shapes, const std::vector<Fraction>& fractions,
                   std::int64_t batch) {
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const auto& declared = input_value(graph, k).shape;
    const std::size_t first = first_position(graph, k);
    for (std::size_t a = 0; a < shapes[k].size(); ++a) {
      if (declared[a] >= 0) continue;
      if (a == 0) shapes[k][a] = batch;
      if (a < first || shapes[k][a] == 1) continue;
      const Fraction f = fractions[(a - first) % fractions.size()];
      shapes[k][a] = std::max<std::int64_t>(1, shapes[k][a] * f.numerator / f.denominator);
    }
  }
  return shapes;
}

/// How many axes of positions the file leaves open, and the largest size that a run gave them.
std::pair<std::size_t, std::int64_t> open_positions(const Graph& graph, const InputShapes& shapes) {
  std::size_t most = 0;
  std::int64_t largest = 0;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const auto& declared = input_value(graph, k).shape;
    std::size_t count = 0;
    for (std::size_t a = first_position(graph, k); a < declared.size(); ++a) {
      if (declared[a] >= 0) continue;
      ++count;
      largest = std::max(largest, shapes[k][a]);
    }
    most = std::max(most, count);
  }
  return {most, largest};
}

/// Does every open position have another size than in the first run? One that hasn't would pass for constant.
bool all_change(const Graph& graph, const InputShapes& shapes, const InputShapes& first) {
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    const auto& declared = input_value(graph, k).shape;
    for (std::size_t a = first_position(graph, k); a < declared.size(); ++a) {
      if (declared[a] < 0 && shapes[k][a] == first[k][a]) return false;
    }
  }
  return true;
}

void add(std::vector<InputShapes>& list, InputShapes shapes) {
  if (!shapes.empty() && within_limits(shapes) && std::find(list.begin(), list.end(), shapes) == list.end())
    list.push_back(std::move(shapes));
}

void check_inputs(const Graph& graph) {
  for (std::size_t k = 0; k < graph.inputs.size(); ++k) {
    const Value& value = input_value(graph, k);
    if (!value.declared)
      throw InputError("input '" + value.name + "' has no shape in the file; export the model with one");
    std::vector<std::int64_t> least = value.shape;
    std::replace_if(
        least.begin(), least.end(), [](auto d) { return d < 0; }, std::int64_t{1});
    if (elements(least) > kLargest) {
      throw InputError("input '" + value.name +
                       "' is declared with more than 2^30 elements; export the model with a smaller size");
    }
  }
}

}  // namespace

ProbeSizes first_sizes(const Graph& graph, const SampleSizes& sample) {
  check_inputs(graph);
  ProbeSizes result;
  std::vector<std::string> words;
  const auto add_sample = [&](bool wanted) {
    InputShapes shapes = wanted ? filled_like(graph, sample) : InputShapes{};
    if (shapes.empty()) return;
    words.push_back(fmt::format("the data's {}", fmt::join(sample.input, "x")));
    add(result.shapes, std::move(shapes));
  };
  const auto add_sizes = [&](const auto& sizes) {
    for (auto size : sizes) add(result.shapes, filled(graph, size, 1));
    words.push_back(fmt::format("{}", fmt::join(sizes, ", ")));
  };
  std::size_t rank = 0;
  for (std::size_t k = 0; k < graph.inputs.size(); ++k)
    rank = std::max(rank, input_value(graph, k).shape.size());
  const bool quick = elements(sample.input) <= kQuick;
  add_sample(quick);
  result.wanted = !result.shapes.empty();
  add_sizes(kUsual);
  add_sample(!quick);
  if (rank <= 3) add_sizes(kSound);
  if (rank <= 4) add_sizes(kImages);
  for (auto size = kFrom; size <= kTo; ++size) add(result.shapes, filled(graph, size, 1));
  result.words = fmt::format("{} and each from {} to {}", fmt::join(words, ", "), kFrom, kTo);
  return result;
}

std::vector<InputShapes> other_sizes(const Graph& graph, const InputShapes& first) {
  std::vector<InputShapes> result;
  // Each axis has a size of its own where the network takes that: else height and width look alike.
  const auto [axes, largest] = open_positions(graph, first);
  const std::vector<std::vector<std::int64_t>> apart =
      axes < 3 ? std::vector<std::vector<std::int64_t>>{{96, 160}, {160, 192}}
               : std::vector<std::vector<std::int64_t>>{{48, 64, 96}};
  for (std::int64_t batch : {2, 1}) {
    if (axes < 2) break;
    // What takes multiples of something takes those of the size that it took.
    const InputShapes stretched = scaled(graph, first, {{2, 1}, {3, 1}, {4, 1}}, batch);
    if (largest <= kSmall) add(result, stretched);
    for (const auto& sizes : apart) {
      InputShapes shapes = filled(graph, sizes, batch);
      if (all_change(graph, shapes, first)) add(result, std::move(shapes));
    }
    if (largest <= kStretched) add(result, stretched);
    const InputShapes smaller = scaled(graph, first, {{1, 2}, {3, 4}, {5, 8}}, batch);
    if (all_change(graph, smaller, first)) add(result, smaller);
  }
  for (std::int64_t batch : {2, 1}) {
    for (auto size : kOthers) {
      if (all_change(graph, filled(graph, size, 1), first)) add(result, filled(graph, size, batch));
    }
  }
  for (std::int64_t batch : {2, 1}) {
    for (const Fraction f : {Fraction{2, 1}, Fraction{3, 1}, Fraction{1, 2}})
      add(result, scaled(graph, first, {f}, batch));
  }
  add(result, scaled(graph, first, {{1, 1}}, 2));
  add(result, first);
  return result;
}

}  // namespace quboprune
