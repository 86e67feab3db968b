#include <tuple>

#include "binding.h"
#include "quboprune/solver.h"

namespace quboprune::python {
namespace {

using Groups = std::vector<std::tuple<std::vector<int>, int, int>>;

Constraint constraint_of(const std::string& kind, double capacity, const Array<double>& costs,
                         const Array<std::int8_t>& fixed, const Groups& groups) {
  Constraint constraint;
  if (kind == "exactly") {
    constraint.kind = Constraint::Kind::exactly;
  } else if (kind == "at_most") {
    constraint.kind = Constraint::Kind::at_most;
  }
  constraint.capacity = capacity;
  constraint.costs = vector_of(costs, "costs");
  constraint.fixed = vector_of(fixed, "fixed");
  for (const auto& [variables, least, most] : groups) constraint.groups.push_back({variables, least, most});
  return constraint;
}

SolverResult solve_with(const Qubo& qubo, const std::string& kind, double capacity,
                        const Array<double>& costs, const Array<std::int8_t>& fixed, const Groups& groups,
                        const SolverOptions& options, const py::object& progress) {
  const Constraint constraint = constraint_of(kind, capacity, costs, fixed, groups);
  std::atomic<bool> stop{false};
  const Control control = control_of(progress, stop);
  return run_interruptibly(stop, [&] { return solve(qubo, constraint, options, control); });
}

}  // namespace

void bind_solve(py::module_& module) {
  py::class_<Solution>(module, "Solution")
      .def_property_readonly("x", [](const Solution& solution) { return array_of(solution.x); })
      .def_readonly("energy", &Solution::energy);

  py::class_<SolverResult>(module, "SolverResult")
      .def_property_readonly("x", [](const SolverResult& result) { return array_of(result.pool.front().x); })
      .def_property_readonly("energy", [](const SolverResult& result) { return result.pool.front().energy; })
      .def_readonly("pool", &SolverResult::pool, "the best distinct solutions, best first")
      .def_readonly("bound", &SolverResult::bound, "proven lower bound, -inf where none was computed")
      .def_readonly("optimal", &SolverResult::optimal, "proven")
      .def_property_readonly(
          "persistent",
          [](const SolverResult& result) {
            return py::array_t<std::int8_t>(static_cast<py::ssize_t>(result.persistent.size()),
                                            result.persistent.data());
          },
          "0 or 1 where every optimal solution is proved to have that value, else -1; empty without a bound")
      .def_readonly("seconds", &SolverResult::seconds)
      .def_readonly("moves", &SolverResult::moves)
      .def_readonly("method", &SolverResult::method)
      .def_readonly("reason", &SolverResult::reason, "why the search ended");

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
          [](SolverOptions& options, const Array<double>& x) { options.start = mask_of(x); });

  module.def("solve", &solve_with, py::arg("qubo"), py::arg("kind"), py::arg("capacity"), py::arg("costs"),
             py::arg("fixed"), py::arg("groups"), py::arg("options"), py::arg("progress"));
  module.def("solver_names", &solver_names);
}

}  // namespace quboprune::python
