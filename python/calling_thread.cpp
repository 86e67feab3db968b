#include "calling_thread.h"

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include <chrono>
#include <stdexcept>

namespace quboprune::python {
namespace {

constexpr std::chrono::milliseconds kLookForSignals{50};

bool interpreter_ends() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

/// A thread that isn't the main one can't go back into an interpreter that ends, nor unwind through its
/// frames; the process ends it.
[[noreturn]] void wait_for_the_process_to_end() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

void CallingThread::call(const std::function<void()>& function) {
  const std::lock_guard one_at_a_time(turn_);
  std::unique_lock lock(mutex_);
  wanted_ = &function;
  changed_.notify_all();
  changed_.wait(lock, [&] { return wanted_ == nullptr || abandoned_; });
  if (abandoned_) throw std::runtime_error("the Python interpreter has ended");
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

std::exception_ptr CallingThread::serve() {
  // Work that begins while the interpreter ends (in a __del__) was asked for by the thread that ends it.
  const bool ends_it = interpreter_ends();
  std::exception_ptr interrupt;
  while (true) {
    PyThreadState* const state = PyEval_SaveThread();
    bool called = false;
    bool ended = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLookForSignals, [&] { return wanted_ != nullptr || ended_; });
      called = wanted_ != nullptr;
      ended = ended_;
    }
    if (ended) thread_.join();
    if (!ends_it && interpreter_ends()) {
      abandon();
      wait_for_the_process_to_end();
    }
    PyEval_RestoreThread(state);
    if (ended) return interrupt;
    if (called) answer();
    if (!interrupt && PyErr_CheckSignals() != 0) {
      interrupt = std::make_exception_ptr(py::error_already_set());
      stop_ = true;
    }
  }
}

void CallingThread::answer() {
  std::exception_ptr thrown;
  try {
    (*wanted_)();
#ifdef __GLIBCXX__
  } catch (abi::__forced_unwind&) {  // the interpreter has ended within the function, and this thread with it
    throw;
#endif
  } catch (...) {
    thrown = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  thrown_ = thrown;
  wanted_ = nullptr;
  changed_.notify_all();
}

void CallingThread::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void CallingThread::abandon() {
  if (!thread_.joinable()) return;
  stop_ = true;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

}  // namespace quboprune::python
