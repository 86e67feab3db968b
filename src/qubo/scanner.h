#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quboprune {

/// Walks through a text of numbers; its errors name file, line and column.
class Scanner {
 public:
  Scanner(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  /// Skips blanks and line ends.
  void skip_space();
  /// Skips blanks only.
  void skip_blanks();
  bool at_end();            ///< nothing but space is left
  bool at_line_end();       ///< nothing but blanks before the line's or the text's end
  char peek();              ///< the next character after space, 0 at the end
  void next_line();         ///< to the start of the next line
  std::string_view line();  ///< the rest of this line, without its end; moves past it
  std::string_view word();  ///< up to the next space

  /// Throw InputError with `what` ("the number of variables") if the next word is no such number.
  std::int64_t integer(std::string_view what, std::int64_t least, std::int64_t most);
  double number(std::string_view what);
  /// Throws unless the line ends here.
  void expect_line_end(std::string_view after);

  std::size_t position() const { return at_; }
  void rewind(std::size_t position) { at_ = position; }
  /// Throws InputError for the place `position`.
  [[noreturn]] void fail(std::size_t position, const std::string& what) const;
  [[noreturn]] void fail(const std::string& what) const { fail(at_, what); }

 private:
  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
};

}  // namespace quboprune
