#include <algorithm>
#include <string>

#include "core/text.h"
#include "qubo/formats.h"

namespace quboprune {
namespace {

struct Entries {
  std::vector<Qubo::Pair> list;
  int variables = 0;
  int stated = 0;  ///< by a comment; 0: none
  bool spin = false;
  double offset = 0;
};

Constraint::Group read_group(Scanner& scanner) {
  Constraint::Group group;
  group.least = static_cast<int>(scanner.integer("the least count of the group", 0, kMostVariables));
  group.most =
      static_cast<int>(scanner.integer("the largest count of the group", group.least, kMostVariables));
  while (!scanner.at_line_end())
    group.variables.push_back(
        static_cast<int>(scanner.integer("a variable of the group", 0, kMostVariables - 1)));
  return group;
}

/// dimod's `vartype=SPIN` or `vartype: BINARY`, anywhere in a comment; false where there is none.
bool heed_vartype(Scanner& scanner, std::string_view line, Entries& entries) {
  const std::size_t found = line.find("vartype");
  if (found == std::string_view::npos) return false;
  std::string_view rest = line.substr(found + std::string_view("vartype").size());
  const auto skip_blanks = [&] { rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size())); };
  skip_blanks();
  if (rest.empty() || (rest.front() != '=' && rest.front() != ':')) return false;
  rest.remove_prefix(1);
  skip_blanks();
  const std::string kind = lowered(std::string(rest.substr(0, rest.find_first_of(" \t\r"))));
  if (kind != "spin" && kind != "binary")
    scanner.fail("variables of the kind '" + kind + "': SPIN and BINARY ones can be read");
  entries.spin = kind == "spin";
  return true;
}

/// `# vartype=SPIN`, `# constraint exactly 12`, `# variables 20`, `# offset 1.5`; others mean nothing.
void heed_comment(Scanner& scanner, Entries& entries, Constraint& constraint) {
  const std::size_t begin = scanner.position();
  const std::string_view line = scanner.line();
  if (heed_vartype(scanner, line, entries)) return;
  Scanner words(line.substr(1), "");
  const std::string_view key = words.word();
  if (key != "constraint" && key != "variables" && key != "offset" && key != "group") return;
  const std::size_t after = scanner.position();
  scanner.rewind(begin + 1);
  scanner.word();
  if (key == "variables") {
    entries.stated = static_cast<int>(scanner.integer("the number of variables", 1, kMostVariables));
    if (entries.variables > entries.stated)
      scanner.fail("fewer variables than the entries above name, " + std::to_string(entries.variables));
    entries.variables = entries.stated;
  } else if (key == "offset") {
    entries.offset = scanner.number("the offset");
  } else if (key == "group") {
    constraint.groups.push_back(read_group(scanner));
  } else {
    const std::string_view kind = scanner.word();
    if (kind != "exactly" && kind != "at_most")
      scanner.fail("a constraint of an unknown kind: write `# constraint exactly K` or `at_most K`");
    if (constraint.kind != Constraint::Kind::none)
      scanner.fail("a second constraint: a file states one, and `# group` lines");
    constraint.kind = kind == "exactly" ? Constraint::Kind::exactly : Constraint::Kind::at_most;
    constraint.capacity = scanner.number("the capacity");
  }
  scanner.expect_line_end("this comment");
  scanner.rewind(after);
}

/// s = 2x - 1.
void add_spin(Qubo& qubo, const Qubo::Pair& entry) {
  if (entry.i == entry.j) {
    qubo.add_linear(entry.i, 2 * entry.value);
    qubo.add_offset(-entry.value);
    return;
  }
  qubo.add_pair(entry.i, entry.j, 4 * entry.value);
  qubo.add_linear(entry.i, -2 * entry.value);
  qubo.add_linear(entry.j, -2 * entry.value);
  qubo.add_offset(entry.value);
}

void add_binary(Qubo& qubo, const Qubo::Pair& entry) {
  if (entry.i == entry.j)
    qubo.add_linear(entry.i, entry.value);
  else
    qubo.add_pair(entry.i, entry.j, entry.value);
}

}  // namespace

Problem read_coordinates(Scanner& scanner) {
  Problem problem;
  problem.format = "coo";
  Entries entries;
  while (!scanner.at_end()) {
    if (scanner.peek() == '#') {
      heed_comment(scanner, entries, problem.constraint);
      continue;
    }
    const auto i = static_cast<int>(scanner.integer("the first index", 0, kMostVariables - 1));
    const auto j = static_cast<int>(scanner.integer("the second index", 0, kMostVariables - 1));
    if (entries.stated > 0 && std::max(i, j) >= entries.stated)
      scanner.fail("variable " + std::to_string(std::max(i, j)) + ": the file says that they go from 0 to " +
                   std::to_string(entries.stated - 1));
    entries.list.push_back({i, j, scanner.number("a value")});
    scanner.expect_line_end("the value");
    entries.variables = std::max({entries.variables, i + 1, j + 1});
  }
  if (entries.variables == 0) scanner.fail("no entry `i j value` in the file: give at least one");
  problem.qubo = Qubo(entries.variables);
  problem.qubo.add_offset(entries.offset);
  for (const Constraint::Group& group : problem.constraint.groups)
    for (const int i : group.variables)
      if (i >= entries.variables)
        scanner.fail("a group names variable " + std::to_string(i) + ": they go from 0 to " +
                     std::to_string(entries.variables - 1));
  for (const Qubo::Pair& entry : entries.list)
    entries.spin ? add_spin(problem.qubo, entry) : add_binary(problem.qubo, entry);
  return problem;
}

Problem read_qbsolv(Scanner& scanner) {
  Problem problem;
  problem.format = "qubo";
  while (scanner.peek() == 'c') scanner.next_line();
  const std::size_t header = scanner.position();
  if (scanner.word() != "p" || scanner.word() != "qubo")
    scanner.fail(header, "no header here: a .qubo file has `p qubo 0 variables diagonals couplers`");
  const std::string_view topology = scanner.word();
  if (topology != "0" && topology != "unconstrained")
    scanner.fail("a topology other than 0: only unconstrained .qubo files can be read");
  const auto n = static_cast<int>(scanner.integer("the number of variables", 1, kMostVariables));
  const std::int64_t diagonals = scanner.integer("the number of diagonals", 0, std::int64_t{1} << 40);
  const std::int64_t couplers = scanner.integer("the number of couplers", 0, std::int64_t{1} << 40);
  scanner.expect_line_end("the header");
  problem.qubo = Qubo(n);
  std::int64_t count = 0;
  while (!scanner.at_end()) {
    if (scanner.peek() == 'c') {
      scanner.next_line();
      continue;
    }
    const auto i = static_cast<int>(scanner.integer("the first index", 0, n - 1));
    const auto j = static_cast<int>(scanner.integer("the second index", 0, n - 1));
    add_binary(problem.qubo, {i, j, scanner.number("a weight")});
    scanner.expect_line_end("the weight");
    ++count;
  }
  if (count != diagonals + couplers)
    scanner.fail(header, "the header promises " + std::to_string(diagonals + couplers) +
                             " entries, but there are " + std::to_string(count) +
                             ": the file may be cut short; correct it or its header");
  return problem;
}

}  // namespace quboprune
