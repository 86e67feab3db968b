#include "qubo/json_text.h"

#include <algorithm>
#include <iterator>

#include "qubo/scanner.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using nlohmann::json;

/// "/a/3" as its parts.
std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin + 1), path.size());
    parts.push_back(path.substr(begin + 1, end - begin - 1));
    begin = end;
  }
  return parts;
}

/// Lets the parser read a text and tells how far it is.
class Reading {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Reading(std::string_view text, std::size_t at, std::size_t& furthest)
      : text_(text), at_(at), furthest_(&furthest) {}
  reference operator*() const { return text_[at_]; }
  Reading& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  Reading operator++(int) {
    Reading before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Reading& other) const { return at_ == other.at_; }
  bool operator!=(const Reading& other) const { return at_ != other.at_; }

 private:
  std::string_view text_;
  std::size_t at_;
  std::size_t* furthest_;
};

/// Follows the parser to the value at a path, and stops it there; without one to where the text can't be
/// read.
class Locator : public json::json_sax_t {
 public:
  Locator(std::optional<std::vector<std::string>> path, const std::size_t& furthest)
      : path_(std::move(path)), furthest_(furthest) {}

  /// Behind the token before the value that was looked for.
  std::size_t position() const { return before_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return begin({false, 0, ""}); }
  bool start_array(std::size_t) override { return begin({true, 0, ""}); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t& name) override {
    inside_.back().key = name;
    return go_on();
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  struct Level {
    bool array = false;
    std::size_t index = 0;
    std::string key;
  };

  bool here() const {
    if (!path_ || inside_.size() != path_->size()) return false;
    return std::ranges::equal(inside_, *path_, [](const Level& level, const std::string& part) {
      return (level.array ? std::to_string(level.index) : level.key) == part;
    });
  }
  bool go_on() {
    before_ = furthest_;
    return true;
  }
  bool next() {
    if (!inside_.empty()) ++inside_.back().index;
    return go_on();
  }
  bool value() { return !here() && next(); }
  bool begin(Level level) {
    if (here()) return false;
    inside_.push_back(std::move(level));
    return go_on();
  }
  bool end() {
    inside_.pop_back();
    return next();
  }

  std::optional<std::vector<std::string>> path_;
  const std::size_t& furthest_;
  std::size_t before_ = 0;
  std::vector<Level> inside_;
};

}  // namespace

const json& member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

JsonText::JsonText(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {
  try {
    root_ = json::parse(text);
  } catch (const json::out_of_range&) {
    fail_at({}, "a number in the JSON is too large for double precision: scale the problem");
  } catch (const json::parse_error& error) {
    Scanner(text, name_)
        .fail(error.byte > 0 ? error.byte - 1 : 0, "the JSON breaks off or is malformed here: correct it");
  }
}

void JsonText::fail(const std::string& path, const std::string& what) const {
  fail_at(parts_of(path), what);
}

void JsonText::fail_at(std::optional<std::vector<std::string>> path, const std::string& what) const {
  std::size_t furthest = 0;
  Locator locator(std::move(path), furthest);
  json::sax_parse(Reading(text_, 0, furthest), Reading(text_, text_.size(), furthest), &locator);
  const std::size_t at = text_.find_first_not_of(" \t\r\n,:", locator.position());
  Scanner(text_, name_).fail(std::min(at, text_.size()), what);
}

}  // namespace quboprune
