#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calling_thread.h"
#include "quboprune/constraint.h"
#include "quboprune/error.h"
#include "quboprune/mask.h"
#include "quboprune/progress.h"
#include "quboprune/qubo.h"

namespace quboprune::python {

/// An array of one type, laid out row by row.
template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

void bind_qubo(py::module_& module);
void bind_problem(py::module_& module);
void bind_solve(py::module_& module);
void bind_search(py::module_& module);

/// The numbers of anything that NumPy makes an array of. Throws InputError, naming the argument, for what
/// isn't an array of real numbers: ragged lists, text, dates, complex numbers, sparse matrices.
Array<double> numbers_of(const py::object& values, const std::string& name);
/// The same for whole numbers that fit an int; 1.0 is none. The values of a one-dimensional array.
std::vector<int> indices_of(const py::object& values, const std::string& name);

/// The values of a one-dimensional array. Throws InputError for another shape.
template <typename T>
std::vector<T> vector_of(const Array<T>& array, const std::string& name) {
  if (array.ndim() != 1)
    throw InputError(name + ": expected one dimension, got " + std::to_string(array.ndim()));
  return {array.data(), array.data() + array.size()};
}

/// A mask from a one-dimensional array of zeros and ones (any number or bool type).
/// Throws InputError for another shape or other values.
Mask mask_of(const py::object& values, const std::string& name);
template <typename T>
py::array_t<T> array_of(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// A Control that ends the work once the caller was interrupted, and that calls a Python function (stage,
/// done, total, best) unless it is None.
Control control_of(const py::object& progress, CallingThread& caller);

/// Python's Qubo. It may be added to while solve() is at work on it in another thread: what is in use stays
/// as it is, and a copy is changed.
class SharedQubo {
 public:
  explicit SharedQubo(Qubo qubo) : qubo_(std::make_shared<Qubo>(std::move(qubo))) {}

  const Qubo& get() const { return *qubo_; }
  /// The problem as it is now, for as long as the pointer is held.
  std::shared_ptr<const Qubo> now() const { return qubo_; }
  Qubo& to_change() {
    if (qubo_.use_count() > 1) qubo_ = std::make_shared<Qubo>(*qubo_);
    return *qubo_;
  }

 private:
  std::shared_ptr<Qubo> qubo_;
};

}  // namespace quboprune::python
