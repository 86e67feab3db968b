#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "binding.h"

namespace quboprune::python {
namespace {

/// As NumPy makes one; its reason, on one line, where it can't.
py::array as_array(const py::object& values, const std::string& name) {
  try {
    return py::module_::import("numpy").attr("asarray")(values).cast<py::array>();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;  // Ctrl-C
    const auto reason = py::str(error.value()).cast<std::string>();
    throw InputError(
        fmt::format("{}: expected an array of numbers ({})", name, reason.substr(0, reason.find('\n'))));
  }
}

[[noreturn]] void refuse(const py::object& values, const py::array& array, const std::string& name,
                         const char* expected) {
  throw InputError(fmt::format("{}: expected {}, not {} of type {}", name, expected,
                               py::str(py::type::of(values).attr("__name__")).cast<std::string>(),
                               py::str(array.dtype()).cast<std::string>()));
}

}  // namespace

Array<double> numbers_of(const py::object& values, const std::string& name) {
  const py::array array = as_array(values, name);
  const char* const expected = "an array of real numbers";
  if (std::string("biufO").find(array.dtype().kind()) == std::string::npos)
    refuse(values, array, name, expected);
  if (array.dtype().kind() == 'O') {
    for (const py::handle one : array.attr("flat"))
      if (one.is_none() || py::isinstance<py::str>(one) || py::isinstance<py::bytes>(one))
        refuse(values, array, name, expected);
  }
  auto numbers = Array<double>::ensure(array);
  if (!numbers) {  // objects that are no numbers
    PyErr_Clear();
    refuse(values, array, name, expected);
  }
  return numbers;
}

std::vector<int> indices_of(const py::object& values, const std::string& name) {
  const py::array array = as_array(values, name);
  const char kind = array.dtype().kind();
  if (array.size() > 0 && kind != 'i' && kind != 'u')
    refuse(values, array, name, "an array of whole numbers");
  std::vector<int> result;
  for (const double number : vector_of(numbers_of(array, name), name)) {  // exact for what an int holds
    if (std::abs(number) > std::numeric_limits<int>::max())
      throw InputError(fmt::format("{}: {:.0f} is too large", name, number));
    result.push_back(static_cast<int>(number));
  }
  return result;
}

Mask mask_of(const py::object& values, const std::string& name) {
  Mask mask;
  for (const double value : vector_of(numbers_of(values, name), name)) {
    if (value != 0.0 && value != 1.0) throw InputError(name + ": expected zeros and ones only");
    mask.push_back(value != 0.0 ? 1 : 0);
  }
  return mask;
}

Control control_of(const py::object& progress, CallingThread& caller) {
  Control control;
  control.stop = &caller.stop();
  if (!progress.is_none()) {
    // A plain pointer: the caller holds the function for as long as the work runs, and copying a py::object
    // would need the interpreter lock wherever the Control is copied.
    control.progress = [function = progress.ptr(), &caller](std::string_view stage, double done, double total,
                                                            double best) {
      caller.call([&] {
        const py::object shown = std::isnan(best) ? py::object(py::none()) : py::object(py::float_(best));
        py::reinterpret_borrow<py::function>(function)(py::str(stage.data(), stage.size()), done, total,
                                                       shown);
      });
    };
  }
  return control;
}

}  // namespace quboprune::python

PYBIND11_MODULE(_core, module) {
  using namespace quboprune;
  module.doc() = "QUBO problems, solvers and mask search of quboprune. Import `quboprune`, not this.";
  module.attr("__version__") = QUBOPRUNE_VERSION;
  pybind11::register_exception<InputError>(module, "InputError", PyExc_ValueError);
  python::bind_qubo(module);
  python::bind_problem(module);
  python::bind_solve(module);
  python::bind_search(module);
}
