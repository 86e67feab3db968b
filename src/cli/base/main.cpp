#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "cli/base/console.h"
#include "cli/base/numbers.h"
#include "cli/commands.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/memory.h"

namespace quboprune {

void add_common_options(CLI::App& command, Context& context) {
  command.add_option("--seed", context.seed, "Of everything random")->capture_default_str();
  command.add_option("--threads", context.threads, "0: OMP_NUM_THREADS, or all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_option("--device", context.device, "cpu; cuda isn't supported yet")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
}

namespace {

constexpr auto* kNoMemory = "out of memory; use smaller crops (--crop) or fewer of them (--calibration)";

/// One line, whatever the message holds.
int failed(int code, std::string text) {
  finish_progress();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  fmt::print(stderr, "quboprune: {}\n", text);
  return code;
}

/// What a command line that can't be parsed is to be told: a word that nothing knows before what is missing,
/// as it may have been meant for that.
std::string fault_of(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(true);
  const bool commanded = !app.get_subcommands().empty();
  const auto option = std::ranges::find_if(unknown, [](const auto& word) { return word.starts_with("-"); });
  if (option != unknown.end()) return fmt::format("{}: no such option", *option);
  if (!commanded && !unknown.empty()) return fmt::format("'{}': no such command", unknown.front());
  return error.what();
}

int run(int argc, char** argv) {
  CLI::App app{"Makes trained convolutional networks smaller by combinatorial optimisation", "quboprune"};
  app.set_version_flag("--version", std::string("quboprune ") + QUBOPRUNE_VERSION);
  app.require_subcommand(1);
  Context context;
  context.control = {console_progress(), &stop_on_signals()};
  context.arguments.assign(argv + std::min(argc, 1), argv + argc);
  add_all_commands(app, context);
  check_all_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    const auto chosen = app.get_subcommands();
    const std::string command = chosen.empty() ? "" : chosen.front()->get_name() + " ";
    return failed(2, fmt::format("{}; see quboprune {}--help", fault_of(app, e), command));
  }
  set_threads(context.threads);
  keep_freed_memory();
  if (context.device == "cuda") throw InputError("--device cuda: isn't supported yet; use --device cpu");
  context.action();
  finish_progress();
  // What a full disk took is seen only now.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return failed(1, "the results couldn't be written to standard output: check where that leads");
  return 0;
}

}  // namespace
}  // namespace quboprune

int main(int argc, char** argv) {
  try {
    return quboprune::run(argc, argv);
  } catch (const quboprune::InputError& e) {
    return quboprune::failed(2, e.what());
  } catch (const std::filesystem::filesystem_error& e) {
    const std::errc machine[] = {std::errc::no_space_on_device, std::errc::io_error,
                                 std::errc::not_enough_memory, std::errc::too_many_files_open_in_system};
    if (std::ranges::any_of(machine, [&](std::errc code) { return e.code() == code; }))
      return quboprune::failed(1, e.path1().string() + ": " + e.code().message());
    return quboprune::failed(2,
                             e.path1().string() + ": " + e.code().message() + "; check its rights and links");
  } catch (const std::bad_alloc&) {
    return quboprune::failed(1, quboprune::kNoMemory);
  } catch (const c10::Error& e) {
    if (quboprune::says_no_memory(e.what_without_backtrace()))
      return quboprune::failed(1, quboprune::kNoMemory);
    return quboprune::failed(1, e.what_without_backtrace());
  } catch (const std::exception& e) {
    return quboprune::failed(1, e.what());
  }
}
