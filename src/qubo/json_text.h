#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quboprune {

/// An object's value, null where it has none of this name.
const nlohmann::json& member(const nlohmann::json& object, const char* key);

/// A JSON text whose errors name file, line and column.
class JsonText {
 public:
  /// Throws InputError where the text is no JSON.
  JsonText(std::string_view text, std::string name);

  const nlohmann::json& root() const { return root_; }
  /// Throws InputError for the place of the value at `path` ("/linear_biases/3"; the root is "").
  [[noreturn]] void fail(const std::string& path, const std::string& what) const;

 private:
  /// For the place where the text can't be read, without a path.
  [[noreturn]] void fail_at(std::optional<std::vector<std::string>> path, const std::string& what) const;

  std::string_view text_;
  std::string name_;
  nlohmann::json root_;
};

}  // namespace quboprune
