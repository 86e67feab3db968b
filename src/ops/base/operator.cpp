#include "ops/base/operator.h"

namespace quboprune {

void make_all_operators(OperatorTable& table);  // written by the build from the names of the files

void Operator::couple(const Node& node, Coupling& coupling) const {
  coupling.freeze_inputs(node, "keeps all its channels");
}
void Operator::slice(const Node&, Slicing&) const {}
void Operator::cost(const Node&, Coupling&) const {}

std::vector<std::string> OperatorTable::names() const {
  std::vector<std::string> result;
  for (const auto& [name, op] : operators_) result.push_back(name);
  return result;
}

const OperatorTable& operators() {
  static const OperatorTable table = [] {
    OperatorTable result;
    make_all_operators(result);
    return result;
  }();
  return table;
}

}  // namespace quboprune
