#include "cli/base/latency.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/threads.h"

extern char** environ;

namespace quboprune {
namespace {

/// Prints one line of JSON. Sizes that a file leaves open are filled from the size given. The lower quartile:
/// on a busy machine half of all runs may be interrupted, and the least of them may be a rare one that had
/// both cores to itself. Each round has an order of its own, lest an interruption that keeps time with the
/// rounds falls on the same file again and again.
constexpr const char* kScript = R"(
import json, statistics, sys, time
try:
    import numpy, onnxruntime
except ImportError:
    print('{}')
    sys.exit()
size, threads, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sizes = [[int(d) for d in part.split('x')] if part else [] for part in size.split(', ')]
kinds = {'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(double)': 'float64', 'tensor(int64)': 'int64',
         'tensor(int32)': 'int32', 'tensor(uint8)': 'uint8', 'tensor(bool)': 'bool'}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.log_severity_level = 3
random = numpy.random.default_rng(1)
taken = 0  # files that load and run
try:
    sessions = []
    for f in files:
        s = onnxruntime.InferenceSession(f, options, providers=['CPUExecutionProvider'])
        feed = {i.name: random.random(d).astype(kinds[i.type]) for i, d in zip(s.get_inputs(), sizes)}
        s.run(None, feed)
        sessions.append(s)
        taken += 1
    times = [[] for _ in sessions]
    deadline = time.perf_counter() + 6
    for repeat in range(30):
        for k in random.permutation(len(sessions)):
            began = time.perf_counter()
            sessions[k].run(None, feed)
            times[k].append(1000 * (time.perf_counter() - began))
        if repeat >= 4 and time.perf_counter() > deadline:
            break
except Exception as e:
    print(json.dumps({'error': str(e).splitlines()[0][:200], 'taken': taken}))
    sys.exit()
print(json.dumps({'runtime': 'ONNX Runtime ' + onnxruntime.__version__, 'threads': threads, 'input': size,
                  'milliseconds': [statistics.quantiles(t[1:], n=4)[0] for t in times]}))
)";

/// What a program prints on its standard output; "" where it can't be started.
std::string output_of(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return "";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1 /* O_WRONLY */, 0);
  std::vector<char*> argv;
  for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; failed == 0 && (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  if (failed == 0) waitpid(child, nullptr, 0);
  return text;
}

}  // namespace

nlohmann::json onnx_runtime_latency(const std::vector<std::string>& files, const std::string& input_size,
                                    int threads) {
  threads = thread_count(threads);
  const char* python = std::getenv("QUBOPRUNE_PYTHON");
  std::vector<std::string> command{python ? python : "python3", "-c", kScript, input_size,
                                   std::to_string(threads)};
  command.insert(command.end(), files.begin(), files.end());
  const auto result = nlohmann::json::parse(output_of(command), nullptr, /*allow_exceptions=*/false);
  return result.is_object() ? result : nlohmann::json::object();
}

}  // namespace quboprune
