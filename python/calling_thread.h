#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace quboprune::python {

namespace py = pybind11;

/// Runs long C++ work on a thread of its own. The thread that asked for it waits meanwhile without the
/// interpreter lock, looks for Ctrl-C every 50 ms, and calls the Python functions that the work needs: these
/// find what belongs to the caller's thread (torch.no_grad(), a database's connection, np.errstate).
class CallingThread {
 public:
  CallingThread() = default;
  CallingThread(const CallingThread&) = delete;
  CallingThread& operator=(const CallingThread&) = delete;
  ~CallingThread() { abandon(); }

  /// Set after Ctrl-C: for the work's Control.
  const std::atomic<bool>& stop() const { return stop_; }

  /// From the work, on any of its threads: `function` runs where the caller waits, with the interpreter lock.
  /// Throws what it throws.
  void call(const std::function<void()>& function);

  /// Waits for the work and returns its result. Throws what it throws, and KeyboardInterrupt (or what else a
  /// signal's handler raised) once work that was told to stop has ended. Where the interpreter ends meanwhile
  /// (we are on a daemon thread) it never returns.
  template <typename Work>
  auto run(Work work) {
    std::optional<decltype(work())> result;
    std::exception_ptr failure;
    thread_ = std::thread([&] {
      try {
        result.emplace(work());
      } catch (...) {
        failure = std::current_exception();
      }
      end();
    });
    const std::exception_ptr interrupt = serve();
    if (interrupt) std::rethrow_exception(interrupt);
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

 private:
  /// Answers calls until the work has ended; what a signal's handler raised meanwhile, or nothing.
  std::exception_ptr serve();
  void answer();
  void end();
  /// Tells the work to stop, and waits for that; for a caller who can't go on.
  void abandon();

  std::atomic<bool> stop_{false};
  std::thread thread_;
  std::mutex turn_;   // held by the thread of the work whose call is served
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  const std::function<void()>* wanted_ = nullptr;
  std::exception_ptr thrown_;
  bool ended_ = false;
  bool abandoned_ = false;
};

}  // namespace quboprune::python
