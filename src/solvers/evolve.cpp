#include "solvers/evolve.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "quboprune/random.h"

namespace quboprune {
namespace {

constexpr int kLag = 4;

/// Breeds tasks and takes up results; no knowledge of threads.
class Population {
 public:
  explicit Population(const EvolveOptions& options)
      : options_(options),
        members_(options.population, 1),
        champions_(options.population / 2 + 1, 1),
        kept_(2 * options.keep + 2, options.keep_distance),
        rng_(options.seed) {}

  Task breed() {
    Task task;
    task.seed = rng_();
    task.target = options_.target;
    task.keep = options_.keep;
    task.keep_distance = options_.keep_distance;
    task.moves = std::numeric_limits<std::int64_t>::max();
    if (options_.max_moves > 0) task.moves = std::max<std::int64_t>(1, options_.max_moves - moves_);
    const bool given = bred_++ == 0 && !options_.start.empty();
    task.fresh = !given && fresh_ < options_.population;
    if (given) {
      task.start = options_.start;
    } else if (task.fresh) {
      ++fresh_;
      task.start = random_mask();
    } else if (members_.size() < 2) {
      task.start = members_.size() == 0 ? random_mask() : perturbed(members_.members()[0].x);
    } else {
      task.start = rng_.below(8) == 0 ? perturbed(pick()) : child();
    }
    return task;
  }

  /// True if this is the best so far.
  bool take_up(Found found) {
    moves_ += found.moves;
    if (found.x.empty()) return false;
    if (options_.mirrored && kept_.size() > 0) align(found.x, kept_.members()[0].x);
    const bool best = kept_.size() == 0 || found.energy < kept_.members()[0].energy;
    kept_.insert(found.x, found.energy);
    for (const Solution& other : found.others) kept_.insert(other.x, other.energy);
    stale_ = members_.insert(found.x, found.energy) ? 0 : stale_ + 1;
    if (fresh_ >= options_.population && stale_ > options_.patience) renew();
    return best;
  }

  std::int64_t moves() const { return moves_; }
  const ElitePool& kept() const { return kept_; }

 private:
  static void align(Mask& x, const Mask& with) {
    if (2 * hamming_distance(x, with) > static_cast<int>(x.size()))
      for (auto& bit : x) bit ^= 1;
  }

  void renew() {
    champions_.insert(members_.members()[0].x, members_.members()[0].energy);
    members_.clear();
    fresh_ = 0;
    stale_ = 0;
    if (++renewals_ % 2 == 0) {
      for (const Solution& champion : champions_.members()) members_.insert(champion.x, champion.energy);
      fresh_ = members_.size();
    }
  }

  std::uint8_t drawn(std::size_t i) {
    return rng_.uniform() < (options_.chances.empty() ? options_.density : options_.chances[i]) ? 1 : 0;
  }

  Mask random_mask() {
    Mask mask(options_.variables);
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = drawn(i);
    return mask;
  }

  const Mask& pick() { return members_.members()[rng_.below(static_cast<std::uint32_t>(members_.size()))].x; }

  Mask child() {
    const auto count = static_cast<std::uint32_t>(members_.size());
    const std::uint32_t first = rng_.below(count);
    std::uint32_t second = rng_.below(count - 1);
    if (second >= first) ++second;
    Mask mask = members_.members()[first].x;
    Mask other = members_.members()[second].x;
    if (options_.mirrored) align(other, mask);
    int differing = 0;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (mask[i] == other[i]) continue;
      ++differing;
      if (rng_() >> 63 != 0) mask[i] = other[i];
    }
    // Parents this close breed only themselves: shake the child as well.
    return differing * 100 < static_cast<int>(mask.size()) ? perturbed(mask) : mask;
  }

  /// Between 1 % and 15 % of the entries drawn anew.
  Mask perturbed(Mask mask) {
    const double share = 0.01 + 0.14 * rng_.uniform();
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (rng_.uniform() < share) mask[i] = drawn(i);
    return mask;
  }

  const EvolveOptions& options_;
  ElitePool members_, champions_, kept_;
  Rng rng_;
  std::size_t fresh_ = 0;
  int stale_ = 0, renewals_ = 0;
  std::int64_t bred_ = 0, moves_ = 0;
};

/// Hands out tasks in order and takes up results in order.
class Sequence {
 public:
  Sequence(const EvolveOptions& options, Deadline& deadline)
      : options_(options), deadline_(deadline), population_(options) {
    const int lag = std::max(kLag, options.threads);
    for (int t = 0; t < lag; ++t) queue_.push_back(population_.breed());
  }

  void work(Improver& improver) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ended_ || !queue_.empty(); });
      if (ended_) return;
      const Task task = std::move(queue_.front());
      queue_.pop_front();
      const std::int64_t number = handed_out_++;
      lock.unlock();
      try {
        Found found = improver.improve(task, deadline_);
        lock.lock();
        if (!found.x.empty() && found.energy <= options_.target) deadline_.finish();
        results_.emplace(number, std::move(found));
        take_up_what_is_due();
      } catch (...) {  // of the improver, or of the caller's progress function
        if (!lock.owns_lock()) lock.lock();
        if (!failure_) failure_ = std::current_exception();
        end("failed");
        changed_.notify_all();
        return;
      }
    }
  }

  /// Throws what a worker threw.
  Evolution result() {
    if (failure_) std::rethrow_exception(failure_);
    // What ran beyond the end by move count is left out: it would depend on the threads.
    if (reason_ != "moves")
      for (auto& [number, found] : results_) population_.take_up(std::move(found));
    Evolution evolution;
    const auto members = population_.kept().members();
    evolution.best.assign(members.begin(), members.end());
    evolution.moves = population_.moves();
    // A worker may have reached the target out of turn, and the clock was stopped for the others.
    const bool reached = !evolution.best.empty() && evolution.best.front().energy <= options_.target;
    evolution.reason = reached ? "target" : reason_;
    return evolution;
  }

 private:
  void take_up_what_is_due() {
    for (auto due = results_.find(taken_up_); due != results_.end() && !ended_;
         due = results_.find(taken_up_)) {
      const bool best = population_.take_up(std::move(due->second));
      results_.erase(due);
      ++taken_up_;
      if (best || taken_up_ % 16 == 0) report();
      end_if_due();
      if (!ended_) queue_.push_back(population_.breed());
    }
    if (!ended_) end_if_due();
    changed_.notify_all();
  }

  void end_if_due() {
    const auto kept = population_.kept().members();
    if (!kept.empty() && kept[0].energy <= options_.target)
      end("target");
    else if (options_.max_moves > 0 && population_.moves() >= options_.max_moves)
      end("moves");
    else if (deadline_.stopped())
      end("stopped");
    else if (deadline_.expired())
      end("time");
  }

  void end(const char* reason) {
    ended_ = true;
    reason_ = reason;
    deadline_.finish();
  }

  void report() {
    const auto kept = population_.kept().members();
    deadline_.control().report("solve", deadline_.elapsed(), deadline_.seconds(),
                               kept.empty() ? std::numeric_limits<double>::quiet_NaN() : kept[0].energy);
  }

  const EvolveOptions& options_;
  Deadline& deadline_;
  Population population_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  std::map<std::int64_t, Found> results_;
  std::int64_t handed_out_ = 0, taken_up_ = 0;
  bool ended_ = false;
  std::exception_ptr failure_;
  std::string reason_;
};

}  // namespace

Evolution evolve(const MakeImprover& make_improver, const EvolveOptions& options, Deadline& deadline) {
  Sequence sequence(options, deadline);
  std::vector<std::unique_ptr<Improver>> improvers;
  for (int t = 0; t < options.threads; ++t) improvers.push_back(make_improver());
  {
    std::vector<std::jthread> threads;
    try {
      for (std::size_t t = 1; t < improvers.size(); ++t)
        threads.emplace_back([&sequence, &improver = *improvers[t]] { sequence.work(improver); });
    } catch (const std::system_error&) {
      // As many as the system allows: the result doesn't depend on their number.
    }
    sequence.work(*improvers[0]);
  }
  return sequence.result();
}

}  // namespace quboprune
