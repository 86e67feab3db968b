#include "solvers/sparse_model.h"

#include <algorithm>
#include <cmath>

namespace quboprune {
namespace {

void build_rows(const Qubo& qubo, StructuredProblem& problem) {
  problem.row_begin.assign(problem.size + 1, 0);
  for (const Qubo::Pair& pair : qubo.pairs()) {
    ++problem.row_begin[static_cast<std::size_t>(pair.i) + 1];
    ++problem.row_begin[static_cast<std::size_t>(pair.j) + 1];
  }
  for (std::size_t i = 0; i < problem.size; ++i) problem.row_begin[i + 1] += problem.row_begin[i];
  problem.neighbour.resize(2 * qubo.pairs().size());
  problem.weight.resize(problem.neighbour.size());
  std::vector<std::size_t> next(problem.row_begin.begin(), problem.row_begin.end() - 1);
  auto put = [&](int from, int to, double value) {
    const std::size_t at = next[static_cast<std::size_t>(from)]++;
    problem.neighbour[at] = static_cast<std::uint32_t>(to);
    problem.weight[at] = value;
  };
  for (const Qubo::Pair& pair : qubo.pairs()) {
    put(pair.i, pair.j, pair.value);
    put(pair.j, pair.i, pair.value);
  }
}

void build_factor(const Qubo& qubo, StructuredProblem& problem) {
  for (const Qubo::LowRank& term : qubo.low_rank()) problem.rank += static_cast<std::size_t>(term.rank);
  problem.factor.resize(problem.rank * problem.size);
  std::size_t r = 0;
  for (const Qubo::LowRank& term : qubo.low_rank()) {
    const double root = std::sqrt(std::abs(term.scale));
    for (std::size_t row = 0; row < static_cast<std::size_t>(term.rank); ++row, ++r) {
      problem.sign.push_back(term.scale < 0 ? -1.0F : 1.0F);
      for (std::size_t i = 0; i < problem.size; ++i) {
        const double value = root * static_cast<double>(term.factor[row * problem.size + i]);
        problem.factor[i * problem.rank + r] = static_cast<float>(value);
        problem.linear[i] += 0.5 * static_cast<double>(problem.sign.back()) * value * value;
      }
    }
  }
}

}  // namespace

std::size_t coupling_count(const Qubo& qubo) {
  std::size_t count = qubo.pairs().size();
  for (const auto& block : qubo.dense_blocks())
    count += block.variables.size() * (block.variables.size() - 1) / 2;
  return count;
}

StructuredProblem::StructuredProblem(const Qubo& qubo)
    : size(static_cast<std::size_t>(qubo.size())),
      offset(qubo.offset()),
      linear(qubo.linear().begin(), qubo.linear().end()),
      blocks(qubo.dense_blocks()) {
  build_rows(qubo, *this);
  memberships.resize(blocks.empty() ? 0 : size);
  for (std::uint32_t b = 0; b < blocks.size(); ++b)
    for (std::uint32_t p = 0; p < blocks[b].variables.size(); ++p)
      memberships[static_cast<std::size_t>(blocks[b].variables[p])].push_back({b, p});
  build_factor(qubo, *this);
  auto is_whole = [](double v) { return v == std::floor(v) && std::abs(v) < 0x1p24; };
  double largest = 0;
  for (std::size_t i = 0; i < size; ++i) {
    double sum = std::abs(linear[i]);
    for (std::size_t e = row_begin[i]; e < row_begin[i + 1]; ++e) sum += std::abs(weight[e]);
    largest = std::max(largest, sum);
  }
  whole = blocks.empty() && rank == 0 && largest < 0x1p30 &&
          std::all_of(linear.begin(), linear.end(), is_whole) &&
          std::all_of(weight.begin(), weight.end(), is_whole);
}

SparseModel::SparseModel(const StructuredProblem& problem)
    : problem_(problem), arcs_(problem.neighbour.size()), gain_(problem.size) {
  for (std::size_t e = 0; e < arcs_.size(); ++e)
    arcs_[e] = {problem.neighbour[e], static_cast<Value>(problem.weight[e])};
  reset();
}

void SparseModel::reset() {
  for (std::size_t i = 0; i < gain_.size(); ++i) gain_[i] = static_cast<Value>(problem_.linear[i]);
  x_.assign(problem_.size, 0);
  energy_ = 0;
}

SparseModel::Value SparseModel::coupling(std::size_t i, std::size_t j) const {
  Value sum = 0;
  for (std::size_t e = problem_.row_begin[i]; e < problem_.row_begin[i + 1]; ++e)
    if (arcs_[e].to == j) sum += arcs_[e].weight;
  return sum;
}

StructuredModel::StructuredModel(const StructuredProblem& problem) : problem_(problem) {
  reset();
}

void StructuredModel::reset() {
  field_ = problem_.linear;
  product_.assign(problem_.rank, 0.0);
  x_.assign(problem_.size, 0);
  energy_ = 0;
}

double StructuredModel::field(std::size_t i) const {
  double sum = field_[i];
  const float* row = problem_.factor.data() + i * problem_.rank;
  // The diagonal is in `linear`; product_ counts i itself when x_i = 1, which has no coupling with itself.
  for (std::size_t r = 0; r < problem_.rank; ++r) {
    const double own = static_cast<double>(row[r]);
    sum += static_cast<double>(problem_.sign[r]) * own * (product_[r] - (x_[i] != 0 ? own : 0.0));
  }
  return sum;
}

StructuredModel::Value StructuredModel::coupling(std::size_t i, std::size_t j) const {
  double sum = 0;
  for (std::size_t e = problem_.row_begin[i]; e < problem_.row_begin[i + 1]; ++e)
    if (problem_.neighbour[e] == j) sum += problem_.weight[e];
  if (!problem_.memberships.empty())
    for (const auto& mine : problem_.memberships[i])
      for (const auto& other : problem_.memberships[j])
        if (mine.block == other.block) {
          const Qubo::DenseBlock& block = problem_.blocks[mine.block];
          sum += block.values[mine.place * block.variables.size() + other.place];
        }
  const float* a = problem_.factor.data() + i * problem_.rank;
  const float* b = problem_.factor.data() + j * problem_.rank;
  for (std::size_t r = 0; r < problem_.rank; ++r)
    sum += static_cast<double>(problem_.sign[r]) * static_cast<double>(a[r]) * static_cast<double>(b[r]);
  return sum;
}

void StructuredModel::flip(std::size_t i) {
  energy_ += gain(i);
  const double sign = x_[i] != 0 ? -1.0 : 1.0;
  x_[i] ^= 1;
  for (std::size_t e = problem_.row_begin[i]; e < problem_.row_begin[i + 1]; ++e)
    field_[problem_.neighbour[e]] += sign * problem_.weight[e];
  if (!problem_.memberships.empty())
    for (const auto& [b, place] : problem_.memberships[i]) {
      const Qubo::DenseBlock& block = problem_.blocks[b];
      const double* row = block.values.data() + place * block.variables.size();
      for (std::size_t q = 0; q < block.variables.size(); ++q)
        if (q != place) field_[static_cast<std::size_t>(block.variables[q])] += sign * row[q];
    }
  const float* row = problem_.factor.data() + i * problem_.rank;
  for (std::size_t r = 0; r < problem_.rank; ++r) product_[r] += sign * static_cast<double>(row[r]);
}

}  // namespace quboprune
