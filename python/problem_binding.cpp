#include <fmt/format.h>

#include <tuple>
#include <utility>

#include "binding.h"
#include "quboprune/problem_io.h"

namespace quboprune::python {
namespace {

using Groups = std::vector<std::tuple<std::vector<int>, int, int>>;

/// What a file says, with a Qubo that Python may share.
struct ReadProblem {
  SharedQubo qubo;
  Problem rest;  ///< without its Qubo
};

Constraint constraint_of(const std::string& kind, double capacity, const py::object& costs,
                         const Array<std::int8_t>& fixed, const Groups& groups) {
  Constraint constraint;
  if (kind == "exactly") {
    constraint.kind = Constraint::Kind::exactly;
  } else if (kind == "at_most") {
    constraint.kind = Constraint::Kind::at_most;
  } else if (kind != "none") {
    throw InputError(fmt::format("constraint: no kind \"{}\"; take none, exactly or at_most", kind));
  }
  constraint.capacity = capacity;
  constraint.costs = vector_of(numbers_of(costs, "costs"), "costs");
  constraint.fixed = vector_of(fixed, "fixed");
  for (const auto& [variables, least, most] : groups) constraint.groups.push_back({variables, least, most});
  return constraint;
}

const char* kind_of(const Constraint& constraint) {
  switch (constraint.kind) {
    case Constraint::Kind::exactly:
      return "exactly";
    case Constraint::Kind::at_most:
      return "at_most";
    default:
      return "none";
  }
}

Groups groups_of(const Constraint& constraint) {
  Groups groups;
  for (const auto& group : constraint.groups) groups.emplace_back(group.variables, group.least, group.most);
  return groups;
}

std::string shown(const Constraint& constraint) {
  std::string text = constraint.kind == Constraint::Kind::none
                         ? "any"
                         : fmt::format("{} {:.9g}{}", kind_of(constraint), constraint.capacity,
                                       constraint.costs.empty() ? "" : " of costs");
  if (!constraint.fixed.empty()) text += ", some fixed";
  if (!constraint.groups.empty()) text += fmt::format(", {} groups", constraint.groups.size());
  return text;
}

ReadProblem read(const std::string& path, const std::string& format) {
  const py::gil_scoped_release release;
  Problem problem = read_problem(path, format);
  SharedQubo qubo(std::exchange(problem.qubo, Qubo(1)));
  return {std::move(qubo), std::move(problem)};
}

void write(const SharedQubo& qubo, const Constraint& constraint, const std::string& path,
           const std::string& format) {
  Problem problem;
  problem.qubo = qubo.get();
  problem.constraint = constraint;
  const py::gil_scoped_release release;
  write_problem(problem, path, format);
}

}  // namespace

void bind_problem(py::module_& module) {
  py::class_<Constraint>(module, "Constraint", "What a solution must obey.")
      .def(py::init(&constraint_of), py::arg("kind"), py::arg("capacity"), py::arg("costs"), py::arg("fixed"),
           py::arg("groups"))
      .def_property_readonly("kind", &kind_of, "'none', 'exactly' or 'at_most'")
      .def_readonly("capacity", &Constraint::capacity, "of the ones' costs; a count where there are none")
      .def_property_readonly("costs", [](const Constraint& c) { return array_of(c.costs); })
      .def_property_readonly("fixed", [](const Constraint& c) { return array_of(c.fixed); })
      .def_property_readonly("groups", &groups_of, "(variables, least, most) each")
      .def("__repr__",
           [](const Constraint& c) { return fmt::format("<quboprune.Constraint: {}>", shown(c)); });

  py::class_<ReadProblem>(module, "Problem",
                          "What a problem file says: a Qubo, always to be minimised, and what x must obey.")
      .def_property_readonly("qubo", [](const ReadProblem& problem) { return problem.qubo; })
      .def_property_readonly("constraint", [](const ReadProblem& problem) { return problem.rest.constraint; })
      .def_property_readonly(
          "family", [](const ReadProblem& problem) { return problem.rest.family; },
          "'qubo', 'bqp', 'max-cut', 'max-diversity' or 'quadratic-knapsack'")
      .def_property_readonly(
          "format", [](const ReadProblem& problem) { return problem.rest.format; }, "what was read")
      .def(
          "objective",
          [](const ReadProblem& problem, double energy) { return problem.rest.objective(energy); },
          py::arg("energy"), "The family's own objective (cut weight, profit, ...; maximised) of an energy.")
      .def("__repr__", [](const ReadProblem& problem) {
        return fmt::format("<quboprune.Problem: {} of {} variables, {}>", problem.rest.family,
                           problem.qubo.get().size(), shown(problem.rest.constraint));
      });

  module.def("read_problem", &read, py::arg("path"), py::arg("format"));
  module.def("write_problem", &write, py::arg("qubo"), py::arg("constraint"), py::arg("path"),
             py::arg("format"));
}

}  // namespace quboprune::python
