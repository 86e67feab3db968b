#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "binding.h"
#include "quboprune/mask_search.h"

namespace quboprune::python {
namespace {

/// A Python function of uint8 [masks, n] that gives [masks] values, as the search wants it. A plain pointer,
/// as in control_of.
MaskObjective objective_of(const py::object& function, int n, CallingThread& caller) {
  return [function = function.ptr(), n, &caller](std::span<const Mask> masks) {
    std::vector<double> values;
    caller.call([&] {
      const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(masks.size()), n};
      py::array_t<std::uint8_t> batch(shape);
      std::uint8_t* row = batch.mutable_data();
      for (const Mask& mask : masks) row = std::copy(mask.begin(), mask.end(), row);
      const py::object returned = py::reinterpret_borrow<py::function>(function)(batch);
      values = vector_of(numbers_of(returned, "what the objective returned"), "what the objective returned");
    });
    return values;
  };
}

SearchResult search(const py::object& objective, int n, const MaskConstraint& constraint,
                    const py::list& seeds, const SearchOptions& options, const py::object& progress) {
  std::vector<Mask> masks;
  for (const py::handle seed : seeds)
    masks.push_back(mask_of(py::reinterpret_borrow<py::object>(seed), "seeds"));
  CallingThread caller;
  const Control control = control_of(progress, caller);
  const MaskObjective function = objective_of(objective, n, caller);
  SearchResult result =
      caller.run([&] { return search_masks(function, n, constraint, masks, options, control); });
  if (result.evaluations > 0 && !std::isfinite(result.value))
    throw InputError(fmt::format("the objective gave none of {} masks a finite value", result.evaluations));
  return result;
}

SearchResult search_with(const py::object& objective, int n, const std::string& kind, double capacity,
                         const py::object& costs, const py::list& seeds, const SearchOptions& options,
                         const py::object& progress) {
  MaskConstraint constraint;
  if (kind == "exactly") {
    constraint.kind = MaskConstraint::Kind::exactly;
    constraint.count = static_cast<int>(capacity);
  } else if (kind == "at_most") {
    constraint.kind = MaskConstraint::Kind::at_most;
    constraint.costs = vector_of(numbers_of(costs, "costs"), "costs");
    if (constraint.costs.empty()) constraint.costs.assign(static_cast<std::size_t>(std::max(n, 0)), 1.0);
    constraint.capacity = capacity;
  }
  return search(objective, n, constraint, seeds, options, progress);
}

using History = std::vector<std::pair<std::int64_t, double>>;

History history_of(const SearchResult& result) {
  History points;
  for (const HistoryPoint& point : result.history) points.emplace_back(point.evaluations, point.best);
  return points;
}

/// For pickle.
py::tuple parts_of(const SearchResult& r) {
  return py::make_tuple(array_of(r.best), r.value, r.evaluations, r.computed, history_of(r), r.seconds,
                        r.seconds_outside_objective, r.reason, r.unsaved);
}

SearchResult from_parts(const py::tuple& parts) {
  SearchResult result;
  result.best = mask_of(parts[0], "x");
  result.value = parts[1].cast<double>();
  result.evaluations = parts[2].cast<std::int64_t>();
  result.computed = parts[3].cast<std::int64_t>();
  for (const auto& [evaluations, best] : parts[4].cast<History>())
    result.history.push_back({evaluations, best});
  result.seconds = parts[5].cast<double>();
  result.seconds_outside_objective = parts[6].cast<double>();
  result.reason = parts[7].cast<std::string>();
  result.unsaved = parts[8].cast<std::string>();
  return result;
}

}  // namespace

void bind_search(py::module_& module) {
  py::class_<SearchResult>(module, "SearchResult")
      .def_property_readonly("x", [](const SearchResult& result) { return array_of(result.best); })
      .def_readonly("value", &SearchResult::value)
      .def_readonly("evaluations", &SearchResult::evaluations)
      .def_readonly("computed", &SearchResult::computed)
      .def_readonly("seconds", &SearchResult::seconds)
      .def_readonly("seconds_outside_objective", &SearchResult::seconds_outside_objective)
      .def_readonly("reason", &SearchResult::reason)
      .def_readonly("unsaved", &SearchResult::unsaved,
                    "Why the state file couldn't be written; usually empty.")
      .def_property_readonly("history", &history_of, "(evaluations, best) of each improvement")
      .def(py::pickle(&parts_of, &from_parts));

  py::class_<SearchOptions>(module, "SearchOptions")
      .def(py::init<>())
      .def_readwrite("method", &SearchOptions::method)
      .def_readwrite("evaluations", &SearchOptions::evaluations)
      .def_readwrite("time_limit", &SearchOptions::time_limit)
      .def_readwrite("seed", &SearchOptions::seed)
      .def_readwrite("batch", &SearchOptions::batch)
      .def_readwrite("top", &SearchOptions::top)
      .def_readwrite("rank", &SearchOptions::rank)
      .def_readwrite("steps", &SearchOptions::steps)
      .def_readwrite("learning_rate", &SearchOptions::learning_rate)
      .def_readwrite("start_weight", &SearchOptions::start_weight)
      .def_property(
          "fixed", [](const SearchOptions& options) { return options.fixed; },
          [](SearchOptions& options, const Array<std::int8_t>& values) {
            options.fixed = vector_of(values, "fixed");
          })
      .def_property(
          "prior", [](const SearchOptions& options) { return options.prior; },
          [](SearchOptions& options, const py::object& values) {
            options.prior = vector_of(numbers_of(values, "prior"), "prior");
          })
      .def_property(
          "blocks", [](const SearchOptions& options) { return options.blocks; },
          [](SearchOptions& options, const py::object& values) {
            options.blocks = indices_of(values, "blocks");
          })
      .def_property(
          "state", [](const SearchOptions& options) { return options.state.string(); },
          [](SearchOptions& options, const std::string& path) { options.state = path; })
      .def_readwrite("problem", &SearchOptions::problem);

  module.def("search_masks", &search_with, py::arg("objective"), py::arg("n"), py::arg("kind"),
             py::arg("capacity"), py::arg("costs"), py::arg("seeds"), py::arg("options"),
             py::arg("progress"));
  module.def("search_names", &search_names);
  module.def("protes_options", &protes_options, "PROTES's published defaults.");
}

}  // namespace quboprune::python
