#include "cli/base/numbers.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <system_error>

namespace quboprune {
namespace {

/// The number that a whole text is; NaN where it is none. Overflow is an infinity.
double number_of(const std::string& text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text.front())) != 0) return NAN;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size() ? value : NAN;
}

template <class Integer>
bool holds(const std::string& text) {
  const std::size_t sign = !text.empty() && text.front() == '+' ? 1 : 0;
  Integer value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + sign, end, value);
  return error == std::errc() && stopped == end && !text.empty();
}

std::string finite(std::string& text) {
  return std::isfinite(number_of(text)) ? "" : "'" + text + "' isn't a finite number";
}

template <class Integer>
std::string whole(std::string& text) {
  if (holds<Integer>(text)) return "";
  return "'" + text + "' isn't a whole number" + (std::is_unsigned_v<Integer> ? " of 0 or more" : "") +
         " (or is too large)";
}

std::string said(std::string& text) {
  return text.empty() ? "is given nothing: name something, or leave the option out" : "";
}

}  // namespace

CLI::Validator not_negative() {
  return {[](std::string& text) { return number_of(text) >= 0 ? "" : "'" + text + "' isn't 0 or more"; },
          "NONNEGATIVE"};
}

CLI::Validator positive() {
  return {[](std::string& text) { return number_of(text) > 0 ? "" : "'" + text + "' isn't above 0"; },
          "POSITIVE"};
}

void check_all_values(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      // As a transformation it comes in front of the option's own checks.
      if (type.starts_with("FLOAT")) option->transform(CLI::Validator(finite, ""));
      if (type.starts_with("INT")) option->transform(CLI::Validator(whole<std::int64_t>, ""));
      if (type.starts_with("TEXT")) option->transform(CLI::Validator(said, ""));
      if (type.starts_with("UINT")) option->transform(CLI::Validator(whole<std::uint64_t>, ""));
    }
  }
}

}  // namespace quboprune
