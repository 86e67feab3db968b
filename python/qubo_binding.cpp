#include <fmt/format.h>

#include "binding.h"
#include "quboprune/qubo.h"

namespace quboprune::python {
namespace {

/// Tried on an empty problem first, so that a wrong entry leaves nothing half done, and what is there already
/// isn't copied.
template <typename Add>
void all_or_none(SharedQubo& qubo, const Add& add) {
  Qubo tried(qubo.get().size());
  add(tried);
  add(qubo.to_change());
}

void add_linear(SharedQubo& qubo, const py::object& values) {
  const auto linear = vector_of(numbers_of(values, "linear"), "linear");
  if (static_cast<int>(linear.size()) != qubo.get().size())
    throw InputError(fmt::format("linear: {} values for {} variables", linear.size(), qubo.get().size()));
  all_or_none(qubo, [&](Qubo& changed) {
    for (int i = 0; i < changed.size(); ++i) changed.add_linear(i, linear[static_cast<std::size_t>(i)]);
  });
}

void add_pairs(SharedQubo& qubo, const py::object& i, const py::object& j, const py::object& values) {
  const auto first = indices_of(i, "i");
  const auto second = indices_of(j, "j");
  const auto coupling = vector_of(numbers_of(values, "values"), "values");
  if (first.size() != second.size() || first.size() != coupling.size())
    throw InputError(fmt::format("i, j and values: {}, {} and {} entries; give as many of each", first.size(),
                                 second.size(), coupling.size()));
  all_or_none(qubo, [&](Qubo& changed) {
    for (std::size_t k = 0; k < first.size(); ++k) changed.add_pair(first[k], second[k], coupling[k]);
  });
}

void add_dense_block(SharedQubo& qubo, const py::object& variables, const py::object& values) {
  Qubo::DenseBlock block{indices_of(variables, "variables"), {}};
  const auto m = static_cast<py::ssize_t>(block.variables.size());
  const auto matrix = numbers_of(values, "values");
  if (matrix.ndim() != 2 || matrix.shape(0) != m || matrix.shape(1) != m)
    throw InputError(fmt::format("values: expected a {} x {} matrix", m, m));
  block.values.assign(matrix.data(), matrix.data() + matrix.size());
  qubo.to_change().add_dense_block(std::move(block));
}

void add_low_rank(SharedQubo& qubo, const py::object& factor, double scale) {
  const Array<float> rows(numbers_of(factor, "factor"));
  if (rows.ndim() != 2 || rows.shape(1) != qubo.get().size())
    throw InputError(fmt::format("factor: expected [rank, {}]", qubo.get().size()));
  qubo.to_change().add_low_rank(
      {static_cast<int>(rows.shape(0)), scale, {rows.data(), rows.data() + rows.size()}});
}

/// E(x) = x'Qx for any square matrix: the diagonal is linear, both triangles add up.
Qubo from_matrix(const py::object& values) {
  const auto matrix = numbers_of(values, "matrix");
  if (matrix.ndim() != 2 || matrix.shape(0) != matrix.shape(1))
    throw InputError("matrix: expected a square one");
  const auto n = matrix.shape(0);
  Qubo qubo(static_cast<int>(n));
  const auto value = matrix.unchecked<2>();
  const auto coupling = [&](py::ssize_t i, py::ssize_t j) { return value(i, j) + value(j, i); };
  py::ssize_t coupled = 0;
  for (py::ssize_t i = 0; i < n; ++i) {
    qubo.add_linear(static_cast<int>(i), value(i, i));
    for (py::ssize_t j = 0; j < i; ++j) coupled += coupling(i, j) != 0 ? 1 : 0;
  }
  // The searches for few couplings ask for pairs, and a pair takes the room of two entries of a block.
  if (4 * coupled <= n * n / 2) {
    for (py::ssize_t i = 0; i < n; ++i) {
      for (py::ssize_t j = 0; j < i; ++j) {
        if (coupling(i, j) != 0) qubo.add_pair(static_cast<int>(j), static_cast<int>(i), coupling(i, j));
      }
    }
    return qubo;
  }
  Qubo::DenseBlock block;
  block.values.assign(static_cast<std::size_t>(n * n), 0.0);
  for (py::ssize_t i = 0; i < n; ++i) {
    block.variables.push_back(static_cast<int>(i));
    for (py::ssize_t j = 0; j < n; ++j) {
      if (i != j) block.values[static_cast<std::size_t>(i * n + j)] = coupling(i, j);
    }
  }
  qubo.add_dense_block(std::move(block));
  return qubo;
}

py::tuple to_dense(const SharedQubo& qubo) {
  std::vector<double> couplings;
  std::vector<double> diagonal;
  qubo.get().to_dense(couplings, diagonal);
  const auto n = static_cast<py::ssize_t>(qubo.get().size());
  return py::make_tuple(py::array_t<double>({n, n}, couplings.data()), array_of(diagonal));
}

double energy(const SharedQubo& qubo, const py::object& x) {
  const Mask mask = mask_of(x, "x");
  if (static_cast<int>(mask.size()) != qubo.get().size())
    throw InputError(fmt::format("x: {} values for {} variables", mask.size(), qubo.get().size()));
  return qubo.get().energy(mask);
}

/// For pickle: the parts as they were added, in arrays.
py::tuple parts_of(const SharedQubo& shared) {
  const auto now = shared.now();  // another thread may add to it while Python's objects are made
  const Qubo& qubo = *now;
  std::vector<int> i;
  std::vector<int> j;
  std::vector<double> values;
  for (const auto& pair : qubo.pairs()) {
    i.push_back(pair.i);
    j.push_back(pair.j);
    values.push_back(pair.value);
  }
  py::list blocks;
  for (const auto& block : qubo.dense_blocks()) {
    const auto m = static_cast<py::ssize_t>(block.variables.size());
    blocks.append(
        py::make_tuple(array_of(block.variables), py::array_t<double>({m, m}, block.values.data())));
  }
  py::list factors;
  for (const auto& term : qubo.low_rank()) {
    const std::vector<py::ssize_t> shape{term.rank, qubo.size()};
    factors.append(py::make_tuple(py::array_t<float>(shape, term.factor.data()), term.scale));
  }
  const std::vector<double> linear(qubo.linear().begin(), qubo.linear().end());
  return py::make_tuple(qubo.offset(), array_of(linear),
                        py::make_tuple(array_of(i), array_of(j), array_of(values)), blocks, factors);
}

SharedQubo from_parts(const py::tuple& parts) {
  const py::object linear = parts[1];
  SharedQubo qubo(Qubo(static_cast<int>(py::len(linear))));
  qubo.to_change().add_offset(parts[0].cast<double>());
  add_linear(qubo, linear);
  const py::tuple pairs = parts[2];
  add_pairs(qubo, pairs[0], pairs[1], pairs[2]);
  for (const py::handle block : parts[3]) {
    const auto [variables, values] = block.cast<std::pair<py::object, py::object>>();
    add_dense_block(qubo, variables, values);
  }
  for (const py::handle term : parts[4]) {
    const auto [factor, scale] = term.cast<std::pair<py::object, double>>();
    add_low_rank(qubo, factor, scale);
  }
  return qubo;
}

}  // namespace

void bind_qubo(py::module_& module) {
  py::class_<SharedQubo>(
      module, "Qubo",
      "A quadratic function of n binary variables, always to be minimised:\n\n"
      "E(x) = offset + sum a_i x_i + sum_{i<j} b_ij x_i x_j + sum_r scale_r/2 |F_r x|^2\n\n"
      "A solve() that is under way in another thread goes on with the problem as it was when it began.")
      .def(py::init([](int variables) { return SharedQubo(Qubo(variables)); }), py::arg("variables"))
      .def_static(
          "from_matrix", [](const py::object& matrix) { return SharedQubo(from_matrix(matrix)); },
          py::arg("matrix"), "x'Qx of a square matrix: the diagonal is linear, both triangles add up.")
      .def("__repr__",
           [](const SharedQubo& qubo) {
             return fmt::format("<quboprune.Qubo of {} variables>", qubo.get().size());
           })
      .def("__len__", [](const SharedQubo& qubo) { return qubo.get().size(); })
      .def_property_readonly("offset", [](const SharedQubo& qubo) { return qubo.get().offset(); })
      .def(
          "add_offset", [](SharedQubo& qubo, double value) { qubo.to_change().add_offset(value); },
          py::arg("value"))
      .def(
          "add_linear", [](SharedQubo& qubo, int i, double value) { qubo.to_change().add_linear(i, value); },
          py::arg("i"), py::arg("value"))
      .def("add_linear", &add_linear, py::arg("values"), "Adds an array of n linear coefficients.")
      .def(
          "add_pair",
          [](SharedQubo& qubo, int i, int j, double value) { qubo.to_change().add_pair(i, j, value); },
          py::arg("i"), py::arg("j"), py::arg("value"))
      .def("add_pairs", &add_pairs, py::arg("i"), py::arg("j"), py::arg("values"),
           "Couples i[k] and j[k] by values[k]; pairs that come twice add up.")
      .def("add_dense_block", &add_dense_block, py::arg("variables"), py::arg("values"),
           "Couples `variables` (m) by a symmetric matrix [m, m]; its diagonal is ignored.")
      .def("add_low_rank", &add_low_rank, py::arg("factor"), py::arg("scale") = 1.0,
           "Adds scale/2 |F x|^2 for F [rank, n] (float32), which is never multiplied out.")
      .def("energy", &energy, py::arg("x"))
      .def("to_dense", &to_dense, "(couplings [n, n], symmetric with zero diagonal; diagonal [n])")
      .def(py::pickle(&parts_of, &from_parts));
}

}  // namespace quboprune::python
