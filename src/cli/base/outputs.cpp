#include "cli/base/outputs.h"

#include <cmath>
#include <system_error>
#include <vector>

#include "data/image.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

/// Whether two names are one file, there already or not. A device takes any number of outputs.
bool same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  if (fs::is_other(a, ignored) || fs::is_other(b, ignored)) return false;
  if (fs::equivalent(a, b, ignored)) return true;
  return fs::weakly_canonical(fs::absolute(a), ignored) == fs::weakly_canonical(fs::absolute(b), ignored);
}

/// An image or an array that is there already, within a folder that is read.
bool is_data_within(const std::string& output, const std::string& folder) {
  std::error_code ignored;
  if (!fs::is_regular_file(output, ignored) || !fs::is_directory(folder, ignored)) return false;
  const std::string ending = fs::path(output).extension().string();
  if (!is_image_name(output) && ending != ".npy" && ending != ".npz" && ending != ".mat") return false;
  const fs::path within = fs::canonical(output, ignored).lexically_relative(fs::canonical(folder, ignored));
  return !within.empty() && *within.begin() != "..";
}

}  // namespace

void check_outputs(std::initializer_list<std::string> outputs, std::initializer_list<std::string> inputs) {
  std::vector<std::string> before;
  for (const auto& output : outputs) {
    if (output.empty()) continue;
    if (output == "-")
      throw InputError(
          "-: results go to files: name one, or /dev/stdout where it may stand among other lines");
    for (const auto& input : inputs) {
      if (!input.empty() && (same_file(output, input) || is_data_within(output, input)))
        throw InputError(output + ": is read by this command and would be overwritten: name another file");
    }
    for (const auto& other : before) {
      if (same_file(output, other))
        throw InputError(output + ": is named for two outputs: give each a file of its own");
    }
    check_writable(output);
    before.push_back(output);
  }
}

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

void write_json(const std::string& path, const nlohmann::json& value, int indent) {
  if (path.empty()) return;
  write_file_atomically(path,
                        value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace quboprune
