#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace quboprune {

/// The user's input is wrong. what() is one line: what, where, and what to do.
/// The command line turns it into exit code 2; the library never prints or exits.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user stopped the work before there was a result to keep. The command line exits with 1.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A promise of our own code was broken: a bug. Stays on in release builds.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws InternalError with `message` unless `holds`.
inline void check(bool holds, std::string_view message) {
  if (!holds) throw InternalError("internal error: " + std::string(message));
}

}  // namespace quboprune
