#include "quboprune/problem_io.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "quboprune/error.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

std::string error_of(const std::string& text, std::string_view format = {}) {
  try {
    parse_problem(text, "file", format);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

Mask mask_of(unsigned bits, int n) {
  Mask x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (bits >> i) & 1U;
  return x;
}

double objective(const Problem& problem, unsigned bits) {
  return problem.objective(problem.qubo.energy(mask_of(bits, problem.qubo.size())));
}

TEST(ProblemIo, ReadsBqpAsTheFullQuadraticForm) {
  const Problem problem = parse_problem("3 3\n1 1 5\n1 2 -4\n2 3 7\n", "file");
  EXPECT_EQ(problem.family, "bqp");
  EXPECT_EQ(objective(problem, 0b001), 5);
  EXPECT_EQ(objective(problem, 0b011), 5 - 8);
  EXPECT_EQ(objective(problem, 0b110), 14);
}

TEST(ProblemIo, SkipsTheCountOfAnOrLibraryCollectionOfOne) {
  EXPECT_EQ(parse_problem("1\n3 1\n1 1 5\n", "file").family, "bqp");
  EXPECT_NE(error_of("10\n3 1\n1 1 5\n").find("file of its own"), std::string::npos);
}

TEST(ProblemIo, ReadsAGraphAsItsCut) {
  for (const char* text : {"3 2\n1 2 2\n2 3 -1\n", "3 2\r\n1 2 2\r\n2 3 -1\r\n", "3 2\n1 2 2\n2 3 -1"}) {
    const Problem problem = parse_problem(text, "file");
    EXPECT_EQ(problem.family, "max-cut");
    EXPECT_EQ(objective(problem, 0b000), 0);
    EXPECT_EQ(objective(problem, 0b001), 2);
    EXPECT_EQ(objective(problem, 0b010), 1);
  }
  EXPECT_EQ(objective(parse_problem("2 1\n1 2\n", "file"), 1), 1) << "an edge without a weight weighs 1";
}

TEST(ProblemIo, ReadsDiversityWithItsCount) {
  const Problem problem = parse_problem("4 2\n0 1 1.5\n1 3 2.25\n2 3 1\n", "file");
  EXPECT_EQ(problem.family, "max-diversity");
  EXPECT_EQ(problem.constraint.kind, Constraint::Kind::exactly);
  EXPECT_EQ(problem.constraint.capacity, 2);
  EXPECT_EQ(objective(problem, 0b1010), 2.25);
}

TEST(ProblemIo, ReadsAQuadraticKnapsack) {
  const Problem problem = parse_problem("r_3\n3\n1 2 3\n4 5\n6\n\n0\n7\n2 3 4\nComments 1 2\n", "file");
  EXPECT_EQ(problem.family, "quadratic-knapsack");
  EXPECT_EQ(problem.constraint.kind, Constraint::Kind::at_most);
  EXPECT_EQ(problem.constraint.capacity, 7);
  EXPECT_EQ(problem.constraint.costs, (std::vector<double>{2, 3, 4}));
  EXPECT_EQ(objective(problem, 0b011), 1 + 2 + 4);
  EXPECT_EQ(objective(problem, 0b110), 2 + 3 + 6);
}

TEST(ProblemIo, ReadsCoordinatesOfBitsAndSpins) {
  const Problem bits = parse_problem("# vartype=BINARY\n0 0 -1.5\n0 2 2e0\n", "file");
  EXPECT_EQ(bits.qubo.size(), 3);
  EXPECT_EQ(objective(bits, 0b101), 0.5);
  const Problem spins = parse_problem("# vartype=SPIN\n0 0 1\n0 1 3\n", "file");
  EXPECT_EQ(objective(spins, 0b00), -1 + 3);
  EXPECT_EQ(objective(spins, 0b01), 1 - 3);
  EXPECT_EQ(objective(spins, 0b11), 1 + 3);
}

TEST(ProblemIo, ReadsQbsolv) {
  const Problem problem = parse_problem("c hello\np qubo 0 3 1 1\n0 0 -2\nc more\n0 2 5\n", "file");
  EXPECT_EQ(problem.qubo.size(), 3);
  EXPECT_EQ(objective(problem, 0b101), 3);
}

TEST(ProblemIo, ReadsSpinsFromJson) {
  const Problem problem = parse_problem(
      R"({"type":"BinaryQuadraticModel","variable_type":"SPIN","offset":0.5,"linear_biases":[1,0],)"
      R"("quadratic_biases":[3],"quadratic_head":[1],"quadratic_tail":[0],"use_bytes":false})",
      "file");
  EXPECT_EQ(objective(problem, 0b00), 0.5 - 1 + 3);
  EXPECT_EQ(objective(problem, 0b01), 0.5 + 1 - 3);
}

TEST(ProblemIo, HeedsAMarkOfUtf8AndRefusesWhatIsNoText) {
  EXPECT_EQ(parse_problem("\xEF\xBB\xBF"
                          "3 2\n1 2 2\n2 3 1\n",
                          "file")
                .family,
            "max-cut");
  EXPECT_EQ(error_of(std::string("\0\1", 2)).rfind("file:1:1: the file is no text", 0), 0U);
  EXPECT_EQ(error_of("{\"type\": 1e999}").rfind("file:1:10: a number in the JSON is too large", 0), 0U);
}

TEST(ProblemIo, ErrorsNameThePlace) {
  EXPECT_EQ(error_of("3 2\n1 2 2\n2 x 1\n"),
            "file:3:3: 'x' where the second index should be: give a whole number");
  EXPECT_EQ(error_of("3 2\n1 2 2\n2 9 1\n").rfind("file:3:3: the second index is 9", 0), 0U);
  EXPECT_EQ(error_of("3 3\n1 2 2\n2 3 1\n").rfind("file:1:3: the header promises 3 entries", 0), 0U);
  EXPECT_EQ(error_of("3 2\n1 1 2\n2 3 1 7\n").rfind("file:3:7: '7' after", 0), 0U);
  EXPECT_EQ(error_of("").rfind("file:1:1: the file is empty", 0), 0U);
  EXPECT_EQ(error_of("{\"type\": ").rfind("file:1:", 0), 0U);
  EXPECT_EQ(error_of("0 0 nan\n", "coo").rfind("file:1:5: 'nan'", 0), 0U);
  EXPECT_EQ(error_of("r\n2\n1 2\n3\n\n0\n7\n2 -3\n").rfind("file:8:3: a negative weight", 0), 0U);
  EXPECT_EQ(error_of("1 1 1\n", "xyz").rfind("no problem format is called 'xyz'", 0), 0U);
}

TEST(ProblemIo, ReadsGzipAndRefusesItCutShort) {
  const auto folder = std::filesystem::temp_directory_path() / ("problem_io_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto path = folder / "p.txt.gz";
  std::string text = "50 625\n";
  Rng rng(1);
  for (int k = 0; k < 625; ++k)
    text += std::to_string(1 + k / 25) + " " + std::to_string(26 + k % 25) + " " +
            std::to_string(rng.below(1000000)) + "\n";
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  EXPECT_EQ(read_problem(path).qubo.pairs().size(), 625U);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THROW(read_problem(path), InputError);
  EXPECT_THROW(read_problem(folder), InputError);
  EXPECT_THROW(read_problem(folder / "missing"), InputError);
  std::filesystem::remove_all(folder);
}

Problem mixed_problem() {
  Problem problem;
  problem.qubo = Qubo(6);
  problem.qubo.add_offset(2.5);
  problem.qubo.add_linear(0, -1.25);
  problem.qubo.add_pair(4, 1, 3);
  problem.qubo.add_pair(1, 4, 0.5);
  problem.qubo.add_dense_block({{0, 2, 3}, {0, 1, 2, 1, 0, 3, 2, 3, 0}});
  problem.qubo.add_low_rank({1, 2.0, {1, 0, 2, 0, 1, 0.5F}});
  return problem;
}

TEST(ProblemIo, WhatIsWrittenReadsBackWithTheSameEnergies) {
  Problem problem = mixed_problem();
  const Problem bqm = parse_problem(format_problem(problem, "bqm"), "file");
  problem.constraint = {Constraint::Kind::exactly, 3, {}, {}};
  const Problem coo = parse_problem(format_problem(problem, "coo"), "file");
  EXPECT_EQ(coo.constraint.kind, Constraint::Kind::exactly);
  EXPECT_EQ(coo.constraint.capacity, 3);
  ASSERT_EQ(bqm.qubo.size(), 6);
  ASSERT_EQ(coo.qubo.size(), 6);
  for (unsigned bits = 0; bits < 64; ++bits) {
    // A dozen terms of size 10 or less, each rounded once or twice: well below 1e-12.
    EXPECT_NEAR(objective(bqm, bits), objective(problem, bits), 1e-12);
    EXPECT_NEAR(objective(coo, bits), objective(problem, bits), 1e-12);
  }
}

TEST(ProblemIo, CoordinatesNameEveryVariable) {
  Problem problem{Qubo(4), {}, "qubo", "coo", false};
  problem.qubo.add_pair(0, 2, -1);
  problem.qubo.add_linear(2, 3);
  EXPECT_EQ(format_problem(problem, "coo"), "# vartype=BINARY\n# variables 4\n0 2 -1\n1 1 0\n2 2 3\n3 3 0\n");
}

TEST(ProblemIo, LpHoldsTheConstraintAndDoublesTheBracket) {
  Problem problem;
  problem.qubo = Qubo(2);
  problem.qubo.add_linear(0, -1);
  problem.qubo.add_pair(0, 1, 2.5);
  problem.constraint = {Constraint::Kind::at_most, 4, {3, 2}, {}};
  const std::string lp = format_problem(problem, "lp");
  EXPECT_NE(lp.find(" - 1 x0 + 0 x1 + [ + 5 x0 * x1 ] / 2"), std::string::npos) << lp;
  EXPECT_NE(lp.find("capacity: + 3 x0 + 2 x1 <= 4"), std::string::npos) << lp;
  EXPECT_THROW(format_problem(problem, "bqm"), InputError);
  EXPECT_THROW(format_problem(problem, "coo"), InputError);
}

/// Values of a JSON text are named by line and column, numbers, texts and lists alike.
TEST(ProblemIo, JsonErrorsNameThePlace) {
  const auto json_error = [](const std::string& biases, const std::string& head, const std::string& type) {
    return error_of("{\n \"type\": \"BinaryQuadraticModel\",\n \"linear_biases\": " + biases +
                    ",\n \"quadratic_biases\": [-1.5, 2],\n \"quadratic_head\": " + head +
                    ",\n \"quadratic_tail\": [ 1, 2 ],\n \"variable_type\" : " + type + "\n}\n");
  };
  EXPECT_EQ(json_error("[1, 2, 3]", "[0, 1]", "\"BINARY\""), "no error");
  EXPECT_EQ(json_error("[1, \"2\", 3]", "[0, 1]", "\"BINARY\"").rfind("file:3:23: ", 0), 0U);
  EXPECT_EQ(json_error("[1, [4], 3]", "[0, 1]", "\"BINARY\"").rfind("file:3:23: ", 0), 0U);
  EXPECT_EQ(json_error("7", "[0, 1]", "\"BINARY\"").rfind("file:3:19: ", 0), 0U);
  EXPECT_EQ(json_error("[1, 2, 3]", "[0,3]", "\"BINARY\"").rfind("file:5:23: ", 0), 0U);
  EXPECT_EQ(json_error("[1, 2, 3]", "[0,\n2]", "\"BINARY\"").rfind("file:7:25: ", 0), 0U)
      << "the tail's entry";
  EXPECT_EQ(json_error("[1, 2, 3]", "[0, 1]", "\"OCTAL\"").rfind("file:7:20: ", 0), 0U);
  EXPECT_EQ(error_of("{\"type\": 1}").rfind("file:1:1: ", 0), 0U);
}

TEST(ProblemIo, ADiversityFileThatBreaksOffIsRefused) {
  EXPECT_NE(error_of("4 2\n0 1 1.5\n1 3 2.25\n").find("2 and 3"), std::string::npos);
  EXPECT_EQ(error_of("3 2\n0 2 1.5\n1 2 2.25\n"), "no error") << "pairs of distance 0 may be left out";
  EXPECT_NE(error_of("3 2\n1 2 1\n0 2 2\n"), "no error") << "the last line isn't the last pair";
  EXPECT_NE(error_of("3 2\n0 1 1\n1 0 1\n0 2 1\n2 0 1\n1 2 3\n2 1 3\n"), "no error") << "each pair twice";
  EXPECT_EQ(error_of("3 2\n0 1 1\n0 2 1\n1 2 ").rfind("file:4:1: ", 0), 0U) << "a broken line";
  EXPECT_EQ(error_of("3 3\n1 2 5\n2 3 5\n1 3 ").rfind("file:4:1: ", 0), 0U) << "of a graph";
}

/// Copies of nested values would recurse.
TEST(ProblemIo, DeeplyNestedJsonIsRefused) {
  std::string nest;
  for (int k = 0; k < 200'000; ++k) nest += "{\"a\":";
  nest += "1" + std::string(200'000, '}');
  for (const char* key : {"type", "offset", "use_bytes", "variable_type"})
    EXPECT_NE(error_of(std::string("{\"") + key + "\":" + nest + "}"), "no error");
  std::string lists(200'000, '[');
  EXPECT_EQ(error_of("{\"x\":" + lists + std::string(200'000, ']') + ",\"offset\": 1e999}")
                .rfind("file:1:400017: ", 0),
            0U);
  EXPECT_EQ(error_of("{\"offset\": 1e999}").rfind("file:1:12: ", 0), 0U);
}

TEST(ProblemIo, EntriesBeyondTheVariablesThatAreStatedAreRefused) {
  EXPECT_NE(error_of("# variables 2\n0 3 1\n").find("variable 3: the file says that they go from 0 to 1"),
            std::string::npos);
  EXPECT_NE(error_of("0 3 1\n# variables 2\n").find("fewer variables than the entries above name, 4"),
            std::string::npos);
  EXPECT_EQ(parse_problem("0 3 1\n# variables 6\n1 5 2\n", "file").qubo.size(), 6);
}

/// Damaged files end in InputError or a problem, never in anything else.
TEST(ProblemIo, SurvivesDamage) {
  const std::vector<std::string> whole = {
      "3 3\n1 1 5\n1 2 -4\n2 3 7\n",
      "4 2\n0 1 1.5\n1 3 2.25\n2 3 1\n",
      "r_3\n3\n1 2 3\n4 5\n6\n\n0\n7\n2 3 4\n",
      "# vartype=SPIN\n# constraint exactly 2\n# variables 5\n0 0 1\n0 1 3\n",
      "c hi\np qubo 0 3 1 1\n0 0 -2\n0 2 5\n",
      "# variables 5\n# group 1 2 0 3 4\n# group 1 1 1 2\n0 1 3\n",
      format_problem(mixed_problem(), "bqm"),
      format_problem(mixed_problem(), "cqm"),
  };
  Rng rng(7);
  const std::string alphabet = "0123456789-+.eE \n\t#{}[],:\"cpq\0x";
  int refused = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string text = whole[rng.below(static_cast<std::uint32_t>(whole.size()))];
    for (std::uint32_t k = 0, edits = 1 + rng.below(3); k < edits && !text.empty(); ++k) {
      const std::size_t at = rng.below(static_cast<std::uint32_t>(text.size()));
      const char c = alphabet[rng.below(static_cast<std::uint32_t>(alphabet.size()))];
      switch (rng.below(4)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        case 2:
          text.erase(at, 1 + rng.below(8));
          break;
        default:
          text.resize(at);
          break;
      }
    }
    // A digit more may ask for gigabytes of variables; that is another matter.
    if (text.size() > 1 && text.find_first_of("0123456789") != std::string::npos &&
        text.find("00") == std::string::npos) {
      try {
        const Problem problem = parse_problem(text, "file");
        EXPECT_GE(problem.qubo.size(), 1);
      } catch (const InputError& error) {
        ++refused;
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(ProblemIo, HeedsAVartypeHoweverItIsWritten) {
  for (const char* line : {"# vartype=SPIN\n", "# vartype: SPIN\n", "#vartype = spin\n"}) {
    const Problem problem = parse_problem(std::string(line) + "0 0 1\n0 1 1\n", "p");
    EXPECT_EQ(problem.qubo.energy({0, 1}), -2) << line;
  }
  EXPECT_EQ(parse_problem("# vartype: BINARY\n0 0 1\n0 1 1\n", "p").qubo.energy({0, 1}), 0);
  EXPECT_THROW(parse_problem("# vartype: DISCRETE\n0 0 1\n", "p"), InputError);
  EXPECT_THROW(parse_problem("# constraint exactly 1\n# constraint at_most 2\n0 0 1\n", "p"), InputError);
}

TEST(ProblemIo, RefusesAPairThatIsListedTwice) {
  EXPECT_THROW(parse_problem("2 3\n1 1 5\n1 2 3\n2 1 3\n", "p"), InputError);
  EXPECT_THROW(parse_problem("3 2\n0 1 1\n1 0 7\n1 2 1\n", "p"), InputError);
  EXPECT_THROW(parse_problem("3 3\n1 2 5\n2 1 5\n2 3 1\n", "p"), InputError);
}

}  // namespace
}  // namespace quboprune
