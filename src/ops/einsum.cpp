// Einsum: each letter of the equation is an axis of some operands and perhaps of the output. A letter that
// the output has ties its operands' axes; one that it hasn't is summed over, which is where its channels can
// go.

#include <ATen/Functions.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// The letters of each operand and of the output.
struct Equation {
  std::vector<std::string> operands;
  std::string output;
};

/// The last n of the letters that stand for an ellipsis' axes, which are counted from the end.
std::string letters_for_ellipsis(std::size_t n) {
  static const std::string all = "01234567";
  return all.substr(all.size() - std::min(n, all.size()));
}

/// Puts letters in place of an ellipsis; `rank`: how many letters there are to be then.
void spell_out(std::string& letters, std::size_t rank) {
  const auto dots = letters.find("...");
  if (dots != std::string::npos && rank + 3 >= letters.size())
    letters.replace(dots, 3, letters_for_ellipsis(rank + 3 - letters.size()));
}

/// For operands of these ranks. Nothing for a letter that an operand has twice (a diagonal).
std::optional<Equation> equation_of(const Node& node, const std::vector<std::size_t>& ranks,
                                    std::size_t rank_of_output) {
  std::string text = node.text("equation", "");
  std::erase(text, ' ');
  const auto arrow = text.find("->");
  Equation result;
  std::string left = text.substr(0, arrow) + ",";
  for (std::size_t comma; (comma = left.find(',')) != std::string::npos; left.erase(0, comma + 1))
    result.operands.push_back(left.substr(0, comma));
  if (result.operands.size() != ranks.size()) return std::nullopt;
  for (std::size_t k = 0; k < ranks.size(); ++k) spell_out(result.operands[k], ranks[k]);
  std::map<char, int> counts;
  for (const auto& letters : result.operands) {
    for (char letter : letters) {
      ++counts[letter];
      if (std::ranges::count(letters, letter) > 1) return std::nullopt;
    }
  }
  if (arrow != std::string::npos) {
    result.output = text.substr(arrow + 2);
    spell_out(result.output, rank_of_output);
  } else {  // an ellipsis, then letters that occur once, in the alphabet's order
    for (const auto& [letter, count] : counts) {
      if (count == 1 || letter <= '7') result.output += letter;
    }
  }
  return result;
}

class Einsum final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {at::einsum(node.text("equation", ""), in)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const auto equation = followed(node, c);
    if (!equation) {
      c.freeze_inputs(node, "its equation isn't followed");
      return;
    }
    std::vector<bool> gated(node.inputs.size(), false);
    for (const auto& [letter, places] : places_of(*equation)) {
      const Labels labels = joined(node, places, c);
      const auto out = equation->output.find(letter);
      if (out != std::string::npos) {
        c.set(node.output(0), static_cast<int>(out), labels);
        continue;
      }
      if (labels.empty()) continue;
      // Zeros in one factor of a product are enough. Each operand has but one gate, and constants have none.
      const auto place = std::ranges::find_if(places, [&](const Place& p) {
        return !gated[p.operand] && size_at(node, p, c) > 1 && !c.known(node.input(p.operand)).defined();
      });
      if (place == places.end()) {
        c.freeze(labels, "is summed over beside another axis of channels");
        continue;
      }
      c.contracts(place->operand, place->axis);
      gated[place->operand] = true;
    }
  }

  void cost(const Node& node, Coupling& c) const override {
    const auto equation = followed(node, c);
    if (!equation) return;
    std::vector<AxisOf> axes;
    for (const auto& [letter, places] : places_of(*equation)) {
      // Where one operand is broadcast along the letter, another has its size.
      const auto& longest =
          *std::ranges::max_element(places, {}, [&](const Place& p) { return size_at(node, p, c); });
      axes.push_back({node.input(longest.operand), longest.axis});
    }
    c.add_macs(1, axes);
  }

 private:
  struct Place {
    std::size_t operand;
    int axis;
  };

  static std::optional<Equation> followed(const Node& node, const Coupling& c) {
    std::vector<std::size_t> ranks;
    for (int v : node.inputs) ranks.push_back(c.shape(v).size());
    auto equation = equation_of(node, ranks, c.shape(node.output(0)).size());
    if (!equation || equation->output.size() != c.shape(node.output(0)).size()) return std::nullopt;
    for (std::size_t k = 0; k < ranks.size(); ++k) {
      if (ranks[k] != equation->operands[k].size()) return std::nullopt;
    }
    return equation;
  }

  static std::map<char, std::vector<Place>> places_of(const Equation& equation) {
    std::map<char, std::vector<Place>> result;
    for (std::size_t k = 0; k < equation.operands.size(); ++k) {
      for (std::size_t a = 0; a < equation.operands[k].size(); ++a)
        result[equation.operands[k][a]].push_back({k, static_cast<int>(a)});
    }
    return result;
  }

  static std::int64_t size_at(const Node& node, const Place& place, const Coupling& c) {
    return c.shape(node.input(place.operand))[static_cast<std::size_t>(place.axis)];
  }

  /// The labels of a letter, the same on all operands that have it; none if an operand's axis is plain.
  static Labels joined(const Node& node, const std::vector<Place>& places, Coupling& c) {
    Labels result;
    bool plain = false;
    for (const Place& place : places) {
      const Labels here = c.labels(node.input(place.operand), place.axis);
      if (size_at(node, place, c) == 1) continue;  // broadcast, or a single channel
      if (here.empty()) {
        plain = true;
      } else if (result.empty()) {
        result = here;
      } else {
        c.tie(result, here);
      }
    }
    if (plain) c.freeze(result, "meets channels that must stay");
    return result;
  }
};

}  // namespace

void make_einsum(OperatorTable& table) {
  table.add("Einsum", std::make_shared<Einsum>());
}

}  // namespace quboprune
