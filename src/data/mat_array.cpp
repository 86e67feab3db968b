#include "data/mat_array.h"

#include <fmt/format.h>
#include <hdf5.h>
#include <matio.h>

#include <algorithm>
#include <memory>

#include "data/mat_check.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

struct MatCloser {
  void operator()(mat_t* file) const { Mat_Close(file); }
};
struct VariableFreer {
  void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};
using MatFile = std::unique_ptr<mat_t, MatCloser>;
using Variable = std::unique_ptr<matvar_t, VariableFreer>;

/// An object of HDF5, closed in the end.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// HDF5 prints its errors unless it is told not to; ours is the only report.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

MatFile open_mat(const fs::path& path) {
  MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  if (!file) throw InputError(path.string() + ": can't be read as a MATLAB file; is it whole?");
  return file;
}

hid_t open_hdf5(const fs::path& path) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) throw InputError(path.string() + ": can't be read as a MATLAB file; is it whole?");
  return file;
}

bool holds_bytes(hid_t data) {
  const Handle type(H5Dget_type(data), H5Tclose);
  return type.valid() && H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == 1 &&
         H5Tget_sign(type) == H5T_SGN_NONE;
}

/// As MATLAB counts: HDF5 names the slowest index first. Empty where it holds something else than bytes.
std::vector<std::size_t> sizes_in_hdf5(hid_t data) {
  const Handle space(H5Dget_space(data), H5Sclose);
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space) : 0;
  if (rank <= 0 || !holds_bytes(data)) return {};
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.rbegin(), sizes.rend()};
}

}  // namespace

MatArray::MatArray(fs::path path, std::string name) : path_(std::move(path)), name_(std::move(name)) {
  check_mat_is_whole(path_);
  const Quiet quiet;
  hdf5_ = H5Fis_hdf5(path_.c_str()) > 0;
  std::vector<std::size_t> sizes;
  bool known = false;
  if (hdf5_) {
    const Handle file(open_hdf5(path_), H5Fclose);
    known = H5Lexists(file, name_.c_str(), H5P_DEFAULT) > 0;
    const Handle data(known ? H5Dopen2(file, name_.c_str(), H5P_DEFAULT) : -1, H5Dclose);
    if (data.valid()) sizes = sizes_in_hdf5(data);
  } else {
    const MatFile file = open_mat(path_);
    const Variable variable(Mat_VarReadInfo(file.get(), name_.c_str()));
    known = variable != nullptr;
    if (known && variable->class_type == MAT_C_UINT8)
      sizes.assign(variable->dims, variable->dims + variable->rank);
  }
  if (!known) throw InputError(fmt::format("{}: has no variable '{}'", path_.string(), name_));
  if (sizes.size() != sizes_.size())
    throw InputError(
        fmt::format("{}: '{}' isn't a uint8 array with {} indices", path_.string(), name_, sizes_.size()));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0 || sizes[i] > 1U << 20U)
      throw InputError(fmt::format("{}: '{}' has an impossible size", path_.string(), name_));
    sizes_[i] = static_cast<int>(sizes[i]);
  }
}

std::size_t MatArray::count() const {
  std::size_t result = 1;
  for (const int size : sizes_) result *= static_cast<std::size_t>(size);
  return result;
}

std::vector<unsigned char> MatArray::values() const {
  const Quiet quiet;
  std::vector<unsigned char> values(count());
  bool read = false;
  if (hdf5_) {
    const Handle file(open_hdf5(path_), H5Fclose);
    const Handle data(H5Dopen2(file, name_.c_str(), H5P_DEFAULT), H5Dclose);
    read = data.valid() && H5Dread(data, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
  } else {
    const MatFile file = open_mat(path_);
    const Variable variable(Mat_VarRead(file.get(), name_.c_str()));
    read = variable != nullptr && variable->data != nullptr && variable->nbytes >= values.size();
    if (read) std::copy_n(static_cast<const unsigned char*>(variable->data), values.size(), values.begin());
  }
  if (!read)
    throw InputError(fmt::format("{}: '{}' can't be read; is the file whole?", path_.string(), name_));
  return values;
}

}  // namespace quboprune
