#include "qubo/scanner.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "quboprune/error.h"

namespace quboprune {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}
bool is_space(char c) {
  return c == '\n' || is_blank(c);
}

/// A word of a stranger's file, fit for a one-line message.
std::string shown(std::string_view word) {
  if (word.empty()) return "the end of the file";
  std::string text = "'";
  for (const char c : word.substr(0, 24)) text += c >= ' ' && c <= '~' ? c : '?';
  return text + (word.size() > 24 ? "...'" : "'");
}

}  // namespace

void Scanner::skip_space() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

void Scanner::skip_blanks() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
}

bool Scanner::at_end() {
  skip_space();
  return at_ == text_.size();
}

bool Scanner::at_line_end() {
  skip_blanks();
  return at_ == text_.size() || text_[at_] == '\n';
}

char Scanner::peek() {
  return at_end() ? '\0' : text_[at_];
}

void Scanner::next_line() {
  const std::size_t end = text_.find('\n', at_);
  at_ = end == std::string_view::npos ? text_.size() : end + 1;
}

std::string_view Scanner::line() {
  const std::size_t begin = at_;
  next_line();
  std::string_view line = text_.substr(begin, at_ - begin);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  return line;
}

std::string_view Scanner::word() {
  skip_space();
  const std::size_t begin = at_;
  while (at_ < text_.size() && !is_space(text_[at_])) ++at_;
  return text_.substr(begin, at_ - begin);
}

std::int64_t Scanner::integer(std::string_view what, std::int64_t least, std::int64_t most) {
  skip_space();
  const std::size_t begin = at_;
  std::int64_t value = 0;
  const char* first = text_.data() + at_;
  const char* last = text_.data() + text_.size();
  const auto [end, error] = std::from_chars(first, last, value);
  at_ += static_cast<std::size_t>(end - first);
  if (error != std::errc() || (at_ < text_.size() && !is_space(text_[at_]))) {
    at_ = begin;
    fail(begin, shown(word()) + " where " + std::string(what) + " should be: give a whole number");
  }
  if (value < least || value > most)
    fail(begin, std::string(what) + " is " + std::to_string(value) + ": it must be between " +
                    std::to_string(least) + " and " + std::to_string(most));
  return value;
}

double Scanner::number(std::string_view what) {
  skip_space();
  const std::size_t begin = at_;
  double value = 0;
  if (at_ < text_.size() && text_[at_] == '+') ++at_;
  const char* first = text_.data() + at_;
  const char* last = text_.data() + text_.size();
  const auto [end, error] = std::from_chars(first, last, value);
  at_ += static_cast<std::size_t>(end - first);
  if (error != std::errc() || !std::isfinite(value) || (at_ < text_.size() && !is_space(text_[at_]))) {
    at_ = begin;
    fail(begin, shown(word()) + " where " + std::string(what) + " should be: give a finite number");
  }
  return value;
}

void Scanner::expect_line_end(std::string_view after) {
  if (at_line_end()) return;
  const std::size_t begin = at_;
  fail(begin, shown(word()) + " after " + std::string(after) + ": the line should end there");
}

void Scanner::fail(std::size_t position, const std::string& what) const {
  position = std::min(position, text_.size());
  const std::string_view before = text_.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_end = before.rfind('\n');
  const std::size_t column = position - (line_end == std::string_view::npos ? 0 : line_end + 1) + 1;
  throw InputError(name_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + what);
}

}  // namespace quboprune
