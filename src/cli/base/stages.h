#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace quboprune {

/// A stage's name, time and the process's peak memory when it ended.
class Stages {
 public:
  template <class F>
  auto run(const std::string& name, F&& f) {
    begin(name);
    struct End {
      Stages& stages;
      ~End() { stages.end(); }
    } end{*this};
    return f();
  }
  const nlohmann::json& json() const { return list_; }
  /// Which of several networks the stages to come are of, for their names; empty: of all.
  void label(const std::string& which) { label_ = which; }

 private:
  void begin(const std::string& name);
  void end();
  nlohmann::json list_ = nlohmann::json::array();
  std::string name_, label_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace quboprune
