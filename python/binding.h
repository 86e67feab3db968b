#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "quboprune/error.h"
#include "quboprune/mask.h"
#include "quboprune/progress.h"

namespace quboprune::python {

namespace py = pybind11;

/// Arrays as they come in: converted to the type and laid out row by row where they aren't already.
template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

void bind_qubo(py::module_& module);
void bind_solve(py::module_& module);
void bind_search(py::module_& module);

/// A mask from a one-dimensional array of zeros and ones (any number or bool type).
/// Throws InputError for another shape or other values.
Mask mask_of(const Array<double>& array);
/// uint8, one-dimensional.
py::array_t<std::uint8_t> array_of(const Mask& mask);

/// The values of a one-dimensional array. Throws InputError for another shape; `name` says which.
template <typename T>
std::vector<T> vector_of(const Array<T>& array, const std::string& name) {
  if (array.ndim() != 1)
    throw InputError(name + ": expected one dimension, got " + std::to_string(array.ndim()));
  return {array.data(), array.data() + array.size()};
}

/// A Control that calls a Python function (stage, done, total, best), or nothing if it is None, and that
/// ends the work once `stop` is set.
Control control_of(const py::object& progress, const std::atomic<bool>& stop);

/// Runs long C++ work on a thread of its own, without the interpreter lock. This thread waits and looks for
/// Ctrl-C every 50 ms: then `stop` is set and, once the work has ended, KeyboardInterrupt raised. What the
/// work throws (also from Python functions that it calls) is thrown here.
template <typename Work>
auto run_interruptibly(std::atomic<bool>& stop, Work work) {
  std::exception_ptr interrupt;
  std::optional<decltype(work())> result;
  std::exception_ptr failure;
  {
    std::promise<void> done;
    std::future<void> ended = done.get_future();
    std::thread thread([&] {
      try {
        result.emplace(work());
      } catch (...) {
        failure = std::current_exception();
      }
      done.set_value();
    });
    while (true) {
      {
        py::gil_scoped_release release;
        if (ended.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready) break;
      }
      if (!interrupt && PyErr_CheckSignals() != 0) {
        interrupt = std::make_exception_ptr(py::error_already_set());
        stop = true;
      }
    }
    py::gil_scoped_release release;
    thread.join();
  }
  if (interrupt) std::rethrow_exception(interrupt);
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

}  // namespace quboprune::python
