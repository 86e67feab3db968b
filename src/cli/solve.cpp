#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/base/model_report.h"
#include "cli/base/numbers.h"
#include "cli/base/outputs.h"
#include "cli/base/solve_report.h"
#include "cli/commands.h"
#include "core/threads.h"

namespace quboprune {
namespace {

struct Options {
  std::string problem, report, method = "auto", format, write;
  double capacity = -1, seconds = 10;
  std::int64_t max_moves = 0;
  bool processor_time = false;
  int pool = 1, pool_distance = 1;
};

SolverOptions solver_options(const Options& options, const Context& context) {
  SolverOptions result;
  result.method = options.method;
  result.seconds = options.seconds;
  result.processor_time = options.processor_time;
  result.max_moves = options.max_moves;
  result.seed = context.seed;
  result.threads = thread_count(context.threads);
  result.pool_size = options.pool;
  result.pool_distance = options.pool_distance;
  result.bound = true;
  return result;
}

}  // namespace

void add_solve(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("solve", "Solves a QUBO file, with or without a capacity");
  auto options = std::make_shared<Options>();
  command
      ->add_option(
          "problem", options->problem,
          "OR-Library bqp, G-set, MDPLIB, quadratic knapsack, dimod COO, BQM or CQM, .qubo; also .gz")
      ->required();
  auto* capacity = command->add_option("--capacity", options->capacity,
                                       "Exactly K ones, or the capacity in place of the file's own");
  command->add_option("--time", options->seconds, "Seconds of search (default 10)")->check(not_negative());
  command->add_flag("--processor-time", options->processor_time,
                    "Count --time in processor time a thread, for fair runs on a busy machine");
  command
      ->add_option("--max-moves", options->max_moves,
                   "End after so many flips, a swap counts two: with time enough, the same result each time")
      ->check(not_negative());
  command->add_option("--solver", options->method, solver_choices());
  command->add_option("--format", options->format, "Read as bqp, gset, mdplib, qkp, coo, bqm, cqm or qubo");
  command->add_option("--pool", options->pool, "How many distinct solutions to report")
      ->check(positive())
      ->capture_default_str();
  command->add_option("--pool-distance", options->pool_distance, "Smallest number of entries they differ in")
      ->check(positive())
      ->capture_default_str();
  command->add_option("--write", options->write,
                      "Also write the problem: .lp, .cqm.json, .json (dimod BQM), else COO");
  command->add_option("--report", options->report, "Write the result as JSON");
  add_common_options(*command, context);
  command->callback([options, capacity, &context] {
    const bool given = capacity->count() > 0;
    context.action = [options, given, &context] {
      check_outputs({options->report, options->write}, {options->problem});
      if (!options->write.empty()) written_format(options->write);  // before any work
      const SolverOptions solve_with = solver_options(*options, context);
      Problem problem = read_problem(options->problem, options->format);
      if (given) override_capacity(problem, options->capacity);
      if (!options->write.empty()) write_problem(problem, options->write);
      // The time limit counts from after the reading.
      const SolverResult result = solve(problem.qubo, problem.constraint, solve_with, context.control);
      nlohmann::json report = solve_report(problem, options->problem, result, context.seed);
      report.update(report_head("solve", context));
      write_json(options->report, report, -1);
      fmt::print("{}", solve_summary(report));
    };
  });
}

}  // namespace quboprune
