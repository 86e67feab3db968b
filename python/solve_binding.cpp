#include <fmt/format.h>

#include "binding.h"
#include "quboprune/solver.h"

namespace quboprune::python {
namespace {

SolverResult solve_with(const SharedQubo& qubo, const Constraint& constraint, const SolverOptions& options,
                        const py::object& progress) {
  const std::shared_ptr<const Qubo> problem = qubo.now();
  CallingThread caller;
  const Control control = control_of(progress, caller);
  return caller.run([&] { return solve(*problem, constraint, options, control); });
}

/// For pickle.
py::tuple parts_of(const SolverResult& r) {
  return py::make_tuple(r.pool, r.bound, r.optimal, array_of(r.persistent), r.seconds, r.moves, r.method,
                        r.reason);
}

SolverResult from_parts(const py::tuple& parts) {
  SolverResult result;
  result.pool = parts[0].cast<std::vector<Solution>>();
  result.bound = parts[1].cast<double>();
  result.optimal = parts[2].cast<bool>();
  result.persistent = parts[3].cast<decltype(result.persistent)>();
  result.seconds = parts[4].cast<double>();
  result.moves = parts[5].cast<decltype(result.moves)>();
  result.method = parts[6].cast<std::string>();
  result.reason = parts[7].cast<std::string>();
  return result;
}

}  // namespace

void bind_solve(py::module_& module) {
  py::class_<Solution>(module, "Solution")
      .def_property_readonly("x", [](const Solution& solution) { return array_of(solution.x); })
      .def_readonly("energy", &Solution::energy)
      .def("__repr__",
           [](const Solution& solution) {
             return fmt::format("<quboprune.Solution: energy {:.9g}, {} of {} ones>", solution.energy,
                                kept_count(solution.x), solution.x.size());
           })
      .def(py::pickle(
          [](const Solution& solution) { return py::make_tuple(array_of(solution.x), solution.energy); },
          [](const py::tuple& parts) {
            return Solution{mask_of(parts[0], "x"), parts[1].cast<double>()};
          }));

  py::class_<SolverResult>(module, "SolverResult")
      .def_property_readonly("x", [](const SolverResult& result) { return array_of(result.pool.front().x); })
      .def_property_readonly("energy", [](const SolverResult& result) { return result.pool.front().energy; })
      .def_readonly("pool", &SolverResult::pool, "the best distinct solutions, best first")
      .def_readonly("bound", &SolverResult::bound, "proven lower bound, -inf where none was computed")
      .def_readonly("optimal", &SolverResult::optimal, "proven")
      .def_property_readonly(
          "persistent", [](const SolverResult& result) { return array_of(result.persistent); },
          "0 or 1 where every optimal solution is proved to have that value, else -1; empty without a bound")
      .def_readonly("seconds", &SolverResult::seconds)
      .def_readonly("moves", &SolverResult::moves)
      .def_readonly("method", &SolverResult::method)
      .def_readonly("reason", &SolverResult::reason, "why the search ended")
      .def("__repr__",
           [](const SolverResult& result) {
             return fmt::format("<quboprune.SolverResult: energy {:.9g}, bound {:.9g}{}, {}>",
                                result.pool.front().energy, result.bound, result.optimal ? ", optimal" : "",
                                result.reason);
           })
      .def(py::pickle(&parts_of, &from_parts));

  py::class_<SolverOptions>(module, "SolverOptions")
      .def(py::init<>())
      .def_readwrite("method", &SolverOptions::method)
      .def_readwrite("seconds", &SolverOptions::seconds)
      .def_readwrite("processor_time", &SolverOptions::processor_time)
      .def_readwrite("max_moves", &SolverOptions::max_moves)
      .def_readwrite("seed", &SolverOptions::seed)
      .def_readwrite("threads", &SolverOptions::threads)
      .def_readwrite("pool_size", &SolverOptions::pool_size)
      .def_readwrite("pool_distance", &SolverOptions::pool_distance)
      .def_readwrite("target_energy", &SolverOptions::target_energy)
      .def_readwrite("bound", &SolverOptions::bound)
      .def_property(
          "start", [](const SolverOptions& options) { return array_of(options.start); },
          [](SolverOptions& options, const py::object& x) { options.start = mask_of(x, "start"); });

  module.def("solve", &solve_with, py::arg("qubo"), py::arg("constraint"), py::arg("options"),
             py::arg("progress"));
  module.def("solver_names", &solver_names);
}

}  // namespace quboprune::python
