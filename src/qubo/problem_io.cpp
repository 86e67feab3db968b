#include "quboprune/problem_io.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/text.h"
#include "qubo/formats.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

/// The whole file, unpacked if it is gzip.
std::string read_unpacked(const std::filesystem::path& path) {
  std::error_code unknown;  // what can't be looked at can't be opened either
  if (std::filesystem::is_directory(path, unknown))
    throw InputError(path.string() + ": is a folder: give a problem file");
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw InputError(path.string() + ": can't be opened: check the name and its rights");
  gzbuffer(file.get(), 1 << 18);
  std::string text;
  std::array<char, 1 << 18> buffer;
  while (true) {
    const int got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (got < 0) {
      int status = Z_OK;
      gzerror(file.get(), &status);
      throw InputError(path.string() + (status == Z_ERRNO
                                            ? ": can't be read to its end: check the disk it is on"
                                            : ": is damaged gzip data: fetch the file again"));
    }
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  int status = Z_OK;
  gzerror(file.get(), &status);
  if (status == Z_BUF_ERROR) throw InputError(path.string() + ": the gzip data is cut short: fetch it again");
  return text;
}

std::size_t words_in_first_line(std::string_view text) {
  Scanner scanner(text, "");
  scanner.skip_space();
  std::size_t count = 0;
  while (!scanner.at_line_end()) {
    scanner.word();
    ++count;
  }
  return count;
}

std::string recognise(Scanner& scanner, std::string_view text) {
  const char first = scanner.peek();
  const std::size_t begin = scanner.position();
  if (scanner.at_end()) scanner.fail("the file is empty: give a problem file");
  if (first == '\0') scanner.fail("the file is no text: give a problem file");
  if (first == '{' || first == '[') return "json";
  if (first == '#') return "coo";
  const std::string_view word = scanner.word();
  scanner.rewind(begin);
  if (word == "c" || word == "p") return "qubo";
  const bool number = (first >= '0' && first <= '9') || first == '-' || first == '+';
  if (!number) return "qkp";
  return words_in_first_line(text) == 3 ? "coo" : "edges";
}

}  // namespace

std::vector<std::string> problem_formats() {
  return {"bqp", "gset", "mdplib", "qkp", "coo", "bqm", "cqm", "qubo"};
}

Problem parse_problem(std::string_view text, const std::string& name, std::string_view format) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // some editors' mark of UTF-8
  Scanner scanner(text, name);
  std::string chosen(format);
  if (chosen.empty()) chosen = recognise(scanner, text);
  if (chosen == "edges") return read_edge_list(scanner, {});
  if (chosen == "bqp" || chosen == "gset" || chosen == "mdplib") return read_edge_list(scanner, chosen);
  if (chosen == "qkp") return read_knapsack(scanner);
  if (chosen == "coo") return read_coordinates(scanner);
  if (chosen == "qubo") return read_qbsolv(scanner);
  if (chosen == "json" || chosen == "bqm" || chosen == "cqm") return read_json(text, name);
  throw InputError("no problem format is called '" + chosen +
                   "': use bqp, gset, mdplib, qkp, coo, bqm, cqm or qubo");
}

Problem read_problem(const std::filesystem::path& path, std::string_view format) {
  if (const auto ending = path.extension(); format.empty() && (ending == ".lp" || ending == ".mps"))
    throw InputError(
        fmt::format("{}: LP and MPS files are written for other solvers, not read: give one of {}",
                    path.string(), fmt::join(problem_formats(), ", ")));
  return parse_problem(read_unpacked(path), path.string(), format);
}

std::string written_format(const std::filesystem::path& path) {
  const std::string file = path.filename().string(), lower = lowered(file);
  if (file.ends_with(".lp")) return "lp";
  if (file.ends_with(".cqm.json")) return "cqm";
  if (file.ends_with(".json")) return "bqm";
  for (const char* other : {".lp", ".json", ".mps", ".qubo", ".cqm", ".bqm", ".gz", ".bz2", ".zip"}) {
    if (lower.ends_with(other))
      throw InputError(path.string() +
                       ": no form that can be written ends so: .lp, .cqm.json, .json (dimod's BQM), or .coo");
  }
  return "coo";
}

void write_problem(const Problem& problem, const std::filesystem::path& path, std::string_view format) {
  write_file_atomically(path, format_problem(problem, format.empty() ? written_format(path) : format));
}

}  // namespace quboprune
