#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>

namespace quboprune {

/// A folder of its own for each test, removed with it.
class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::temp_directory_path() / ("quboprune_" + std::string(test->test_suite_name()) + "_" +
                                                  test->name() + "_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~FolderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string path(const std::string& name = "") const { return (folder_ / name).string(); }

  /// Writes an image (BGR or grey, 8 or 16 bit); the folders on the way are made.
  void write(const std::string& name, const cv::Mat& image) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    ASSERT_TRUE(cv::imwrite(path(name), image)) << name;
  }
  void write_text(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }

  std::filesystem::path folder_;
};

/// A picture whose every pixel tells its place: red x, green y, blue `which`. 8 bit, up to 256x256.
inline cv::Mat place_image(int rows, int columns, int which) {
  cv::Mat image(rows, columns, CV_8UC3);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      image.at<cv::Vec3b>(y, x) = {static_cast<unsigned char>(which), static_cast<unsigned char>(y),
                                   static_cast<unsigned char>(x)};
  return image;
}

}  // namespace quboprune
