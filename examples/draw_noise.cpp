// Draws noise on a folder of clean images and writes the pairs: a paired folder as `--data` takes it.
//
//     draw_noise PHOTOGRAPHS NOISE OUT COUNT SIZE
//
// PHOTOGRAPHS: a folder of clean images. NOISE: as for --noise. OUT: gets noisy/ and clean/. COUNT crops of
// SIZE x SIZE pixels. scripts/fit_noise builds and runs it.
#include <ATen/ATen.h>
#include <quboprune/dataset.h>
#include <quboprune/error.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <string>

namespace {

void write_png(const std::filesystem::path& file, const at::Tensor& image) {
  // OpenCV wants rows of BGR bytes; the network's layout is planes of RGB.
  const at::Tensor bytes =
      (image.clamp(0, 1) * 255).round().to(at::kByte).flip(0).permute({1, 2, 0}).contiguous();
  const cv::Mat view(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)), CV_8UC3,
                     bytes.data_ptr());
  if (!cv::imwrite(file.string(), view)) throw quboprune::InputError(file.string() + ": can't be written");
}

void draw(const std::string& photographs, const std::string& noise, const std::filesystem::path& out,
          int count, int size) {
  quboprune::DataOptions options;
  options.noise = noise;
  options.split = "all";
  const auto data = quboprune::open_dataset(photographs, options);
  std::filesystem::create_directories(out / "noisy");
  std::filesystem::create_directories(out / "clean");
  quboprune::Rng rng(options.seed);
  for (int i = 0; i < count; ++i) {
    const quboprune::Sample sample = data->random_crop(rng, size, /*augment=*/true);
    const std::string name = "crop_" + std::to_string(i) + ".png";
    write_png(out / "noisy" / name, sample.input);
    write_png(out / "clean" / name, sample.target);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: draw_noise PHOTOGRAPHS NOISE OUT COUNT SIZE\n");
    return 2;
  }
  try {
    draw(argv[1], argv[2], argv[3], std::atoi(argv[4]), std::atoi(argv[5]));
  } catch (const quboprune::InputError& error) {
    std::fprintf(stderr, "draw_noise: %s\n", error.what());
    return 2;
  }
  return 0;
}
