#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/progress.h"

namespace quboprune {

/// What was measured of masks, each once: in memory, and with a file from one run to the next. (Ours.)
class KeptValues {
 public:
  using Values = std::vector<double>;  ///< by sample, or a single one

  KeptValues() = default;  ///< in memory alone
  /// problem: names all that values depend on besides question and mask. A file of another problem, or a
  /// damaged one, isn't taken up, but overwritten. Throws InputError where there is one that can't be read.
  KeptValues(std::filesystem::path file, std::string problem);

  /// nullptr: not known.
  const Values* find(const std::string& question, const Mask& mask) const;
  /// Takes the answer in, and writes the file, with what other processes have kept there meanwhile: other
  /// answers, and numbers of the same one that are NaN here. unsaved() says why that couldn't be done the
  /// last time, else it is empty.
  void keep(const std::string& question, const Mask& mask, Values values);
  const std::string& unsaved() const { return unsaved_; }

  /// The known answer, or what `measure` gives, which is kept unless it was stopped on the way.
  template <class F>
  Values get(const std::string& question, const Mask& mask, const Control& control, F&& measure) {
    if (const Values* known = find(question, mask)) return *known;
    Values values = measure();
    if (!control.stopped()) keep(question, mask, values);
    return values;
  }

 private:
  void take_up();  ///< what the file has and we don't

  std::filesystem::path file_;
  std::string problem_, unsaved_;
  std::map<std::pair<std::string, std::string>, Values> known_;  // by question and the mask's 0s and 1s
};

}  // namespace quboprune
