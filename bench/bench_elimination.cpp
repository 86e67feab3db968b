// What does it save to put changes off while a layer's inputs are eliminated?
//
//   bench_elimination [OUTPUTS] [INPUTS] [TAPS] [REMOVED]
//
// A layer of random numbers (512 outputs, 512 inputs of 9 taps), from which REMOVED (64) inputs go one by
// one; after each all the others' errors are asked for. Beside LayerElimination: the same with each change
// made at once to whole matrices, whose errors must agree. LibTorch on OMP_NUM_THREADS threads (default 1),
// seconds of processor time for each input that goes.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <vector>

#include "elimination/layer_elimination.h"
#include "quboprune/random.h"

namespace {

using namespace quboprune;

double seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

at::Tensor uniform(at::IntArrayRef sizes, Rng& rng) {
  at::Tensor result = at::empty(sizes, at::kDouble);
  auto* data = result.data_ptr<double>();
  for (std::int64_t i = 0; i < result.numel(); ++i) data[i] = rng.uniform() - 0.5;
  return result;
}

RepairedLayer random_layer(int outputs, int inputs, int taps) {
  Rng rng(1);
  const std::int64_t columns = std::int64_t{inputs} * taps;
  InputGram gram;
  gram.taps = taps;
  const at::Tensor x = uniform({1, 2 * columns, columns}, rng);
  gram.gram = at::matmul(x.transpose(1, 2), x);
  gram.weight = uniform({1, outputs, columns}, rng);
  const at::Tensor j = uniform({1, outputs, outputs}, rng);
  std::vector<int> groups(static_cast<std::size_t>(inputs));
  std::iota(groups.begin(), groups.end(), 0);
  return {std::move(gram), groups, std::vector<int>(static_cast<std::size_t>(outputs), -1),
          at::matmul(j.transpose(1, 2), j), 1e-2};
}

/// The same with each change made at once.
class AtOnce {
 public:
  explicit AtOnce(const RepairedLayer& layer)
      : layer_(layer),
        columns_(at::stack(layer.columns())),
        inverse_(at::cholesky_inverse(at::linalg_cholesky(layer.gram())).contiguous()),
        weight_(layer.weight().clone()),
        seen_(at::matmul(layer.sensitivity(), weight_)) {}

  void remove(int input) {
    const at::Tensor& columns = layer_.columns()[static_cast<std::size_t>(input)];
    const at::Tensor rows = inverse_.index_select(1, columns);
    const at::Tensor step = at::linalg_solve(rows.index_select(2, columns), rows);
    for (auto* matrix : {&weight_, &seen_})
      matrix->baddbmm_(matrix->index_select(2, columns), step, 1, -1).index_fill_(2, columns, 0);
    inverse_.baddbmm_(rows.transpose(1, 2), step, 1, -1);
    inverse_.index_fill_(1, columns, 0).index_fill_(2, columns, 0);
    gone_.push_back(input);
  }

  std::vector<double> errors() const {
    using at::indexing::Slice;
    at::Tensor blocks = inverse_.index({Slice(), columns_.unsqueeze(2), columns_.unsqueeze(1)});
    for (const int input : gone_) blocks.select(1, input).diagonal(0, 1, 2).fill_(1);
    const auto gathered = [&](const at::Tensor& matrix) {
      return matrix.index_select(2, columns_.flatten())
          .view({1, matrix.size(1), columns_.size(0), columns_.size(1)})
          .permute({0, 2, 1, 3});
    };
    const at::Tensor spread = at::matmul(gathered(weight_).transpose(2, 3), gathered(seen_));
    const at::Tensor sums = (at::linalg_inv(blocks) * spread).sum({0, 2, 3}).contiguous();
    return {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel()};
  }

 private:
  const RepairedLayer& layer_;
  const at::Tensor columns_;
  at::Tensor inverse_, weight_, seen_;
  std::vector<int> gone_;
};

/// Seconds for each input that goes; the errors that are left at the end.
template <typename Way>
std::pair<double, std::vector<double>> measured(Way& way, int removed) {
  std::vector<double> errors;
  const double begin = seconds();
  for (int input = 0; input < removed; ++input) {
    way.remove(input);
    errors = way.errors();
  }
  return {(seconds() - begin) / removed, errors};
}

}  // namespace

int main(int argc, char** argv) {
  const char* threads = std::getenv("OMP_NUM_THREADS");
  at::set_num_threads(threads == nullptr ? 1 : std::max(1, std::atoi(threads)));
  const auto argument = [&](int k, int otherwise) { return argc > k ? std::atoi(argv[k]) : otherwise; };
  const int outputs = argument(1, 512), inputs = argument(2, 512), taps = argument(3, 9),
            removed = argument(4, 64);
  if (outputs < 1 || taps < 1 || removed < 1 || removed >= inputs) {
    fmt::print(stderr, "bench_elimination: all numbers from 1, and fewer removed than there are\n");
    return 2;
  }
  const RepairedLayer layer = random_layer(outputs, inputs, taps);
  AtOnce at_once(layer);
  const auto [slow, expected] = measured(at_once, removed);
  LayerElimination put_off(layer);
  const auto [fast, found] = measured(put_off, removed);
  double difference = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    difference = std::max(difference, std::abs(found[i] - expected[i]) / (std::abs(expected[i]) + 1e-300));
  fmt::print(
      "{} outputs, {} inputs of {} taps, {} removed: at once {:.4f} s each, put off {:.4f} s, {:.2f} times; "
      "errors differ by {:.1e} of themselves at most\n",
      outputs, inputs, taps, removed, slow, fast, slow / fast, difference);
  return difference < 1e-6 ? 0 : 1;
}
