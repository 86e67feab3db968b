#include <fmt/format.h>

#include "binding.h"
#include "quboprune/qubo.h"

namespace quboprune::python {
namespace {

void add_linear(Qubo& qubo, const Array<double>& values) {
  const auto linear = vector_of(values, "linear");
  if (static_cast<int>(linear.size()) != qubo.size()) {
    throw InputError(fmt::format("linear: {} values for {} variables", linear.size(), qubo.size()));
  }
  for (int i = 0; i < qubo.size(); ++i) qubo.add_linear(i, linear[static_cast<std::size_t>(i)]);
}

void add_dense_block(Qubo& qubo, const Array<int>& variables, const Array<double>& values) {
  Qubo::DenseBlock block{vector_of(variables, "variables"), {}};
  const auto m = static_cast<py::ssize_t>(block.variables.size());
  if (values.ndim() != 2 || values.shape(0) != m || values.shape(1) != m) {
    throw InputError(fmt::format("values: expected a {} x {} matrix", m, m));
  }
  block.values.assign(values.data(), values.data() + values.size());
  qubo.add_dense_block(std::move(block));
}

void add_low_rank(Qubo& qubo, const Array<float>& factor, double scale) {
  if (factor.ndim() != 2 || factor.shape(1) != qubo.size()) {
    throw InputError(fmt::format("factor: expected [rank, {}]", qubo.size()));
  }
  qubo.add_low_rank(
      {static_cast<int>(factor.shape(0)), scale, {factor.data(), factor.data() + factor.size()}});
}

/// E(x) = x'Qx for any square matrix: the diagonal is linear, both triangles add up.
Qubo from_matrix(const Array<double>& matrix) {
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

py::tuple to_dense(const Qubo& qubo) {
  std::vector<double> couplings;
  std::vector<double> diagonal;
  qubo.to_dense(couplings, diagonal);
  const auto n = static_cast<py::ssize_t>(qubo.size());
  return py::make_tuple(py::array_t<double>({n, n}, couplings.data()),
                        py::array_t<double>(n, diagonal.data()));
}

double energy(const Qubo& qubo, const Array<double>& x) {
  const Mask mask = mask_of(x);
  if (static_cast<int>(mask.size()) != qubo.size()) {
    throw InputError(fmt::format("x: {} values for {} variables", mask.size(), qubo.size()));
  }
  return qubo.energy(mask);
}

}  // namespace

void bind_qubo(py::module_& module) {
  py::class_<Qubo>(module, "Qubo",
                   "A quadratic function of n binary variables, always to be minimised:\n\n"
                   "E(x) = offset + sum a_i x_i + sum_{i<j} b_ij x_i x_j + sum_r scale_r/2 |F_r x|^2")
      .def(py::init([](int variables) {
             if (variables < 0) throw InputError("variables: expected 0 or more");
             return Qubo(variables);
           }),
           py::arg("variables"))
      .def_static("from_matrix", &from_matrix, py::arg("matrix"),
                  "x'Qx of a square matrix: the diagonal is linear, both triangles add up.")
      .def("__len__", &Qubo::size)
      .def_property_readonly("offset", &Qubo::offset)
      .def("add_offset", &Qubo::add_offset, py::arg("value"))
      .def("add_linear", &add_linear, py::arg("values"), "Adds an array of n linear coefficients.")
      .def("add_linear", &Qubo::add_linear, py::arg("i"), py::arg("value"))
      .def("add_pair", &Qubo::add_pair, py::arg("i"), py::arg("j"), py::arg("value"))
      .def("add_dense_block", &add_dense_block, py::arg("variables"), py::arg("values"),
           "Couples `variables` (m) by a symmetric matrix [m, m]; its diagonal is ignored.")
      .def("add_low_rank", &add_low_rank, py::arg("factor"), py::arg("scale") = 1.0,
           "Adds scale/2 |F x|^2 for F [rank, n] (float32), which is never multiplied out.")
      .def("energy", &energy, py::arg("x"))
      .def("to_dense", &to_dense, "(couplings [n, n], symmetric with zero diagonal; diagonal [n])");
}

}  // namespace quboprune::python
