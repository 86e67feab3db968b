#include "data/image.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <future>
#include <iterator>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using Bytes = std::vector<unsigned char>;

Bytes read_bytes(const std::filesystem::path& path) {
  std::ifstream file = open_file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool starts_with(const Bytes& bytes, std::string_view mark) {
  return bytes.size() >= mark.size() &&
         std::equal(mark.begin(), mark.end(), bytes.begin(),
                    [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
}

bool ends_near(const Bytes& bytes, std::string_view mark) {
  constexpr std::size_t tail = 4096;  // some cameras write a little behind the end mark
  const auto from = bytes.end() - static_cast<std::ptrdiff_t>(std::min(bytes.size(), tail));
  return std::search(from, bytes.end(), mark.begin(), mark.end(), [](unsigned char a, char b) {
           return a == static_cast<unsigned char>(b);
         }) != bytes.end();
}

bool is_jpeg(const Bytes& bytes) {
  return starts_with(bytes, "\xFF\xD8\xFF");
}

/// The decoders fill the missing part of a JPEG with grey and call it a success.
bool cut_short(const Bytes& bytes) {
  if (is_jpeg(bytes)) return !ends_near(bytes, "\xFF\xD9");
  if (starts_with(bytes, "\x89PNG")) return !ends_near(bytes, "IEND");
  return false;
}

/// Whatever `decode` gives or throws, with what it writes to stderr left out: libpng, libjpeg and OpenCV
/// complain there and can't be told not to, and what is wrong is said by our own error, in a line. `decode`
/// runs on a thread that has file descriptors of its own, so that nobody else's stderr is touched. Where the
/// kernel can't do that (Linux before 5.9) the complaints are seen.
template <typename Decode>
auto without_complaints(Decode decode) {
  return std::async(std::launch::async,
                    [&decode] {
                      if (close_range(STDERR_FILENO, STDERR_FILENO, CLOSE_RANGE_UNSHARE) == 0) {
                        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
                        if (nowhere >= 0 && nowhere != STDERR_FILENO) dup2(nowhere, STDERR_FILENO);
                      }
                      return decode();
                    })
      .get();
}

/// The largest value that a PPM or PGM states: the decoder takes it for that of its type. 0: another kind of
/// file.
int stated_maximum(const Bytes& bytes) {
  if (!starts_with(bytes, "P5") && !starts_with(bytes, "P6")) return 0;
  constexpr std::size_t kHeader = 4096;
  std::istringstream header(std::string(
      bytes.begin() + 2, bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), kHeader))));
  int number = 0;
  for (int k = 0; k < 3; ++k) {  // width, height, maximum
    while ((header >> std::ws).peek() == '#') header.ignore(kHeader, '\n');
    header >> number;
  }
  return header ? number : 0;
}

double full_scale(const cv::Mat& image) {
  return image.depth() == CV_8U ? 255.0 : image.depth() == CV_16U ? 65535.0 : 1.0;
}

/// The file's bytes, where they can be those of a whole image.
Bytes read_whole(const std::filesystem::path& path) {
  Bytes bytes = read_bytes(path);
  if (bytes.empty()) throw InputError(path.string() + ": is empty");
  if (cut_short(bytes)) throw InputError(path.string() + ": the image is cut short; fetch it again");
  if (const int most = stated_maximum(bytes); most != 0 && most != 255 && most != 65535)
    throw InputError(path.string() + ": its largest value is " + std::to_string(most) +
                     ": only 255 and 65535 are read; convert it");
  return bytes;
}

/// 8 or 16 bit; `colour`: IMREAD_COLOR or IMREAD_GRAYSCALE.
cv::Mat decoded(const std::filesystem::path& path, const Bytes& bytes, int colour) {
  cv::Mat image;
  try {
    image = without_complaints(
        [&] { return cv::imdecode(bytes, colour | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION); });
  } catch (const cv::Exception&) {
    image.release();  // too large for the decoder, or damaged: the same answer as an empty result
  }
  if (image.empty()) throw InputError(path.string() + ": can't be read as an image; is it damaged?");
  if (image.depth() != CV_8U && image.depth() != CV_16U)
    throw InputError(path.string() + ": only images of 8 or 16 bit are read; convert it");
  return image;
}

}  // namespace

bool is_image_name(const std::filesystem::path& path) {
  const std::string extension = lowered(path.extension().string());
  constexpr std::array known = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm"};
  return std::find(known.begin(), known.end(), extension) != known.end();
}

cv::Mat read_image(const std::filesystem::path& path, int channels) {
  const Bytes bytes = read_whole(path);
  // Decoders make grey each in its way, libpng by the file's own gamma: of the same pixels another one with
  // it than without. A JPEG holds its grey.
  const bool grey_later = channels == 1 && !is_jpeg(bytes);
  cv::Mat image =
      decoded(path, bytes, channels == 1 && !grey_later ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
  if (image.channels() == 3) cv::cvtColor(image, image, grey_later ? cv::COLOR_BGR2GRAY : cv::COLOR_BGR2RGB);
  return image;
}

cv::Mat read_labels(const std::filesystem::path& path) {
  const Bytes bytes = read_whole(path);
  if (is_jpeg(bytes))
    throw InputError(path.string() + ": is a JPEG, which changes a mask's numbers; keep masks as PNG");
  std::vector<cv::Mat> planes;
  cv::split(decoded(path, bytes, cv::IMREAD_COLOR), planes);
  for (std::size_t c = 1; c < planes.size(); ++c) {
    if (cv::norm(planes[c], planes.front(), cv::NORM_INF) != 0)
      throw InputError(path.string() +
                       ": is in colour, where a mask's grey values are class numbers; keep the numbers, not "
                       "the colours that stand for them");
  }
  return planes.front();
}

Tones tones_of(const at::Tensor& labels) {
  const at::Tensor black = labels.eq(0);
  const at::Tensor white = labels.eq(255);
  return {black.any().item<bool>(), white.any().item<bool>(),
          black.logical_or(white).logical_not().any().item<bool>()};
}

at::Tensor to_labels(const cv::Mat& labels) {
  cv::Mat numbers;
  labels.convertTo(numbers, CV_32S);
  return at::from_blob(numbers.data, {numbers.rows, numbers.cols}, at::kInt).to(at::kLong);
}

cv::Mat to_float(const cv::Mat& image) {
  cv::Mat result;
  image.convertTo(result, CV_32F, 1.0 / full_scale(image));
  return result;
}

at::Tensor to_tensor(const cv::Mat& image, double scale) {
  cv::Mat values;
  image.convertTo(values, CV_32F, scale / full_scale(image));
  const int channels = values.channels();
  at::Tensor result = at::empty({channels, values.rows, values.cols}, at::kFloat);
  const auto plane = static_cast<std::ptrdiff_t>(values.rows) * values.cols;
  std::vector<cv::Mat> planes;
  for (int c = 0; c < channels; ++c)
    planes.emplace_back(values.rows, values.cols, CV_32F, result.data_ptr<float>() + c * plane);
  cv::split(values, planes);
  return result;
}

}  // namespace quboprune
