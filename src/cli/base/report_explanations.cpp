// The parts of a report that explain: why each group went, and pictures before and after.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "cli/base/prune_report.h"
#include "data/image_layout.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using nlohmann::json;

std::string base64(const std::vector<unsigned char>& bytes) {
  static const char* const kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned>(bytes[i + k]) : 0U;
    };
    const unsigned word = byte(0) << 16U | byte(1) << 8U | byte(2);
    for (unsigned k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : kDigits[word >> (18U - 6U * k) & 63U];
  }
  return text;
}

/// An image [C, H, W] of 0..peak as a PNG data URI.
std::string picture(const at::Tensor& image, double peak) {
  const at::Tensor bytes =
      (image.detach().clamp(0, peak) * (255 / peak)).round().to(at::kByte).permute({1, 2, 0}).contiguous();
  const int channels = static_cast<int>(bytes.size(2));
  cv::Mat pixels(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)),
                 channels == 3 ? CV_8UC3 : CV_8UC1, bytes.data_ptr());
  cv::Mat shown = pixels;
  if (channels == 3) cv::cvtColor(pixels, shown, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> png;
  check(cv::imencode(".png", shown, png), "an image that can't be encoded");
  return "data:image/png;base64," + base64(png);
}

/// The kept groups most like each removed one.
json stand_ins(const ChannelGroups& groups, const SimilarityBlock& block, std::size_t row, const Mask& mask) {
  std::vector<std::pair<double, int>> likeness;
  const std::size_t m = block.groups.size();
  for (std::size_t k = 0; k < m; ++k) {
    const int h = block.groups[k];
    if (k != row && mask[static_cast<std::size_t>(h)] != 0)
      likeness.push_back({std::abs(block.cosine[row * m + k]), h});
  }
  const std::size_t most = std::min<std::size_t>(3, likeness.size());
  std::partial_sort(likeness.begin(), likeness.begin() + static_cast<std::ptrdiff_t>(most), likeness.end(),
                    std::greater<>());
  json list = json::array();
  for (std::size_t k = 0; k < most; ++k)
    list.push_back({{"group", groups.name(likeness[k].second)}, {"similarity", likeness[k].first}});
  return list;
}

}  // namespace

json removed_groups_json(const ChannelGroups& groups, const Mask& mask) {
  json list = json::array();
  for (int g = 0; g < groups.size(); ++g) {
    if (mask[static_cast<std::size_t>(g)] == 0)
      list.push_back({{"group", groups.name(g)}, {"members", groups.members(g)}});
  }
  return list;
}

json removed_json(PruneSession& session, const Choice& choice) {
  const ChannelGroups& groups = session.groups();
  const Scores& s = session.scores(choice.objective);
  const Qubo& qubo = choice.formulation.qubo;
  const std::vector<double> slopes = qubo.slopes(choice.mask);
  const std::size_t n = choice.mask.size();
  std::vector<std::pair<const SimilarityBlock*, std::size_t>> block_of(n, {nullptr, 0});
  for (const auto& block : s.similarity) {
    for (std::size_t k = 0; k < block.groups.size(); ++k)
      block_of[static_cast<std::size_t>(block.groups[k])] = {&block, k};
  }
  json list = json::array();
  for (std::size_t g = 0; g < n; ++g) {
    if (choice.mask[g] != 0) continue;
    json entry = {{"group", groups.name(static_cast<int>(g))},
                  {"members", groups.members(static_cast<int>(g))},
                  {"importance", choice.formulation.importance[g]},
                  {"cost_of_return", slopes[g]},  // the objective's change if it came back
                  {"stand_ins", json::array()}};
    if (block_of[g].first)
      entry["stand_ins"] = stand_ins(groups, *block_of[g].first, block_of[g].second, choice.mask);
    list.push_back(std::move(entry));
  }
  return list;
}

json images_json(const PruneSession& session, const PruneSession::Outcome& outcome) {
  json list = json::array();
  if (session.data() == nullptr || session.data()->target_kind() != TargetKind::image) return list;
  const Judge& judge = session.judge();
  const auto& heldout = session.heldout();
  const Executor dense(session.graph());
  const Executor small(outcome.shipped());
  constexpr std::size_t kPictures = 3;
  constexpr std::int64_t kSize = 192;  // keeps the page at about a megabyte
  for (std::size_t k = 0; k < std::min(kPictures, heldout.size()); ++k) {
    const Sample& s = heldout[k * heldout.size() / std::min(kPictures, heldout.size())];
    const at::Tensor noisy = channels_first(s.input);
    const at::Tensor clean = channels_first(s.target);
    if (noisy.dim() != 3 || !is_channels(noisy.size(0)) || noisy.sizes() != clean.sizes()) continue;
    const std::vector<Sample> one{s};
    const at::Tensor before = channels_first(outputs_of(dense, one, judge).front());
    const at::Tensor after = channels_first(outputs_of(small, one, judge).front());
    if (before.sizes() != clean.sizes()) continue;  // all outputs side by side
    const auto cropped = [&](const at::Tensor& t) { return t.slice(1, 0, kSize).slice(2, 0, kSize); };
    list.push_back({{"name", s.name},
                    {"noisy", picture(cropped(noisy), judge.peak)},
                    {"clean", picture(cropped(clean), judge.peak)},
                    {"dense", picture(cropped(before), judge.peak)},
                    {"pruned", picture(cropped(after), judge.peak)},
                    {"psnr",
                     {{"noisy", psnr(noisy, clean, judge.peak)},
                      {"dense", psnr(before, clean, judge.peak)},
                      {"pruned", psnr(after, clean, judge.peak)}}}});
  }
  return list;
}

}  // namespace quboprune
