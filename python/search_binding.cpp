#include <fmt/format.h>

#include <algorithm>

#include "binding.h"
#include "quboprune/mask_search.h"

namespace quboprune::python {
namespace {

/// A Python function of uint8 [masks, n] that gives [masks] values, as the search wants it. A plain pointer,
/// as in control_of.
MaskObjective objective_of(const py::object& function, int n) {
  return [function = function.ptr(), n](std::span<const Mask> masks) {
    const py::gil_scoped_acquire acquire;
    py::array_t<std::uint8_t> batch({static_cast<py::ssize_t>(masks.size()), static_cast<py::ssize_t>(n)});
    std::uint8_t* row = batch.mutable_data();
    for (const Mask& mask : masks) row = std::copy(mask.begin(), mask.end(), row);
    const auto values = py::reinterpret_borrow<py::function>(function)(batch).cast<Array<double>>();
    if (values.ndim() != 1 || values.size() != static_cast<py::ssize_t>(masks.size())) {
      throw InputError(
          fmt::format("objective: expected {} values, one a mask, in one dimension", masks.size()));
    }
    return std::vector<double>(values.data(), values.data() + values.size());
  };
}

SearchResult search(const py::object& objective, int n, MaskConstraint constraint,
                    const std::vector<Array<double>>& seeds, const SearchOptions& options,
                    const py::object& progress) {
  std::vector<Mask> masks;
  masks.reserve(seeds.size());
  for (const auto& seed : seeds) masks.push_back(mask_of(seed));
  std::atomic<bool> stop{false};
  const Control control = control_of(progress, stop);
  const MaskObjective function = objective_of(objective, n);
  return run_interruptibly(stop,
                           [&] { return search_masks(function, n, constraint, masks, options, control); });
}

SearchResult search_with(const py::object& objective, int n, const std::string& kind, double capacity,
                         const Array<double>& costs, const std::vector<Array<double>>& seeds,
                         const SearchOptions& options, const py::object& progress) {
  MaskConstraint constraint;
  if (kind == "exactly") {
    constraint.kind = MaskConstraint::Kind::exactly;
    constraint.count = static_cast<int>(capacity);
  } else if (kind == "at_most") {
    constraint.kind = MaskConstraint::Kind::at_most;
    constraint.costs = vector_of(costs, "costs");
    if (constraint.costs.empty()) constraint.costs.assign(static_cast<std::size_t>(std::max(n, 0)), 1.0);
    constraint.capacity = capacity;
  }
  return search(objective, n, std::move(constraint), seeds, options, progress);
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
      .def_property_readonly(
          "history",
          [](const SearchResult& result) {
            std::vector<std::pair<std::int64_t, double>> points;
            for (const HistoryPoint& point : result.history)
              points.emplace_back(point.evaluations, point.best);
            return points;
          },
          "(evaluations, best) of each improvement");

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
          [](SearchOptions& options, const Array<double>& values) {
            options.prior = vector_of(values, "prior");
          })
      .def_property(
          "blocks", [](const SearchOptions& options) { return options.blocks; },
          [](SearchOptions& options, const Array<int>& values) {
            options.blocks = vector_of(values, "blocks");
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
