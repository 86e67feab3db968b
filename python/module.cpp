#include <cmath>

#include "binding.h"

namespace quboprune::python {

Mask mask_of(const Array<double>& array) {
  Mask mask;
  for (const double value : vector_of(array, "mask")) {
    if (value != 0.0 && value != 1.0) throw InputError("mask: expected zeros and ones only");
    mask.push_back(value != 0.0 ? 1 : 0);
  }
  return mask;
}

py::array_t<std::uint8_t> array_of(const Mask& mask) {
  return py::array_t<std::uint8_t>(static_cast<py::ssize_t>(mask.size()), mask.data());
}

Control control_of(const py::object& progress, const std::atomic<bool>& stop) {
  Control control;
  control.stop = &stop;
  if (!progress.is_none()) {
    // A plain pointer: the caller holds the function for as long as the work runs, and copying a py::object
    // would need the interpreter lock wherever the Control is copied.
    control.progress = [function = progress.ptr()](std::string_view stage, double done, double total,
                                                   double best) {
      const py::gil_scoped_acquire acquire;
      const py::object shown = std::isnan(best) ? py::object(py::none()) : py::object(py::float_(best));
      py::reinterpret_borrow<py::function>(function)(py::str(stage.data(), stage.size()), done, total, shown);
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
  python::bind_solve(module);
  python::bind_search(module);
}
