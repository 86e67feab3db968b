#include "solvers/semidefinite_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quboprune/random.h"
#include "solvers/clones.h"

namespace quboprune {
namespace {

/// 1/2 s'Cs in rows of neighbours; spin n is the one that stands for the linear terms.
struct SpinForm {
  std::size_t size = 0;
  double constant = 0;
  std::vector<std::size_t> row_begin;
  std::vector<std::size_t> neighbour;
  std::vector<double> weight;
};

SpinForm spin_form(const FreePart& part) {
  const std::size_t n = part.items.size();
  SpinForm form;
  form.size = n + 1;
  form.constant = part.constant;
  form.row_begin.push_back(0);
  std::vector<double> last(n);
  for (std::size_t p = 0; p < n; ++p) {
    const std::size_t i = part.items[p];
    last[p] = part.linear[i] / 2;
    form.constant += part.linear[i] / 2;
    for (std::size_t q = 0; q < n; ++q) {
      const double b = part.problem.coupling(i, part.items[q]);
      if (b == 0 || p == q) continue;
      form.neighbour.push_back(q);
      form.weight.push_back(b / 4);
      last[p] += b / 4;
      form.constant += b / 8;
    }
    form.neighbour.push_back(n);
    form.weight.push_back(last[p]);
    form.row_begin.push_back(form.neighbour.size());
  }
  for (std::size_t p = 0; p < n; ++p) {
    form.neighbour.push_back(p);
    form.weight.push_back(last[p]);
  }
  form.row_begin.push_back(form.neighbour.size());
  return form;
}

/// Unit vectors, one a spin, and the lengths of their fields.
class Vectors {
 public:
  explicit Vectors(const SpinForm& form)
      : form_(form),
        rank_(std::min<std::size_t>(
            static_cast<std::size_t>(std::sqrt(2.0 * static_cast<double>(form.size))) + 1, 48)),
        vectors_(form.size * rank_),
        field_(rank_),
        lengths_(form.size) {
    Rng rng(1);
    for (double& entry : vectors_) entry = rng.uniform() - 0.5;
    for (std::size_t i = 0; i < form_.size; ++i) {
      double* v = &vectors_[i * rank_];
      double squared = 0;
      for (std::size_t r = 0; r < rank_; ++r) squared += v[r] * v[r];
      for (std::size_t r = 0; r < rank_; ++r) v[r] /= std::sqrt(squared);
    }
  }

  /// Every vector is turned against its field. Returns the sum of the fields' lengths.
  double sweep() {
    double sum = 0;
    for (std::size_t i = 0; i < form_.size; ++i) {
      const double length = compute_field(i);
      sum += length;
      if (length <= 0) continue;
      double* v = &vectors_[i * rank_];
      for (std::size_t r = 0; r < rank_; ++r) v[r] = -field_[r] / length;
    }
    return sum;
  }

  const std::vector<double>& lengths() {
    for (std::size_t i = 0; i < form_.size; ++i) lengths_[i] = compute_field(i);
    return lengths_;
  }

 private:
  double compute_field(std::size_t i) {
    std::fill(field_.begin(), field_.end(), 0.0);
    for (std::size_t e = form_.row_begin[i]; e < form_.row_begin[i + 1]; ++e) {
      const double* other = &vectors_[form_.neighbour[e] * rank_];
      for (std::size_t r = 0; r < rank_; ++r) field_[r] += form_.weight[e] * other[r];
    }
    double squared = 0;
    for (const double entry : field_) squared += entry * entry;
    return std::sqrt(squared);
  }

  const SpinForm& form_;
  std::size_t rank_;
  std::vector<double> vectors_, field_, lengths_;
};

QUBOPRUNE_CLONES void subtract(double* __restrict to, const double* __restrict from, double factor,
                               std::size_t count) {
  for (std::size_t j = 0; j < count; ++j) to[j] -= factor * from[j];
}

/// True if C + diag(y) + shift I has a Cholesky factor, with pivots above what rounding explains.
bool is_positive(const SpinForm& form, const std::vector<double>& y, double shift,
                 std::vector<double>& work) {
  const std::size_t n = form.size;
  work.assign(n * n, 0.0);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    work[i * n + i] = y[i] + shift;
    trace += y[i] + shift;
    for (std::size_t e = form.row_begin[i]; e < form.row_begin[i + 1]; ++e)
      work[i * n + form.neighbour[e]] += form.weight[e];
  }
  // Rump 2006: the factorisation of A - c I, c = n eps trace with room to spare, proves A semidefinite.
  const double margin = 4 * static_cast<double>(n) * std::numeric_limits<double>::epsilon() * trace;
  for (std::size_t i = 0; i < n; ++i) work[i * n + i] -= margin;
  for (std::size_t k = 0; k < n; ++k) {
    const double pivot = work[k * n + k];
    if (!(pivot > margin)) return false;
    const double* from = &work[k * n];
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = from[i] / pivot;
      if (factor == 0) continue;
      subtract(&work[i * n + i], from + i, factor, n - i);
    }
  }
  return true;
}

}  // namespace

double semidefinite_bound(const FreePart& part, int sweeps) {
  const SpinForm form = spin_form(part);
  Vectors vectors(form);
  double sum = 0;
  for (int s = 0; s < sweeps; ++s) {
    const double now = vectors.sweep();
    const bool settled = std::abs(now - sum) < 1e-5 * now;
    sum = now;
    if (settled) break;
  }
  const std::vector<double>& y = vectors.lengths();
  double total = 0;
  for (const double length : y) total += length;
  const double mean = total / static_cast<double>(form.size);
  if (mean <= 0) return form.constant;
  std::vector<double> work;
  double shift = 2e-4 * mean;
  while (!is_positive(form, y, shift, work)) shift *= 2;
  return form.constant - total / 2 - static_cast<double>(form.size) * shift / 2;
}

}  // namespace quboprune
