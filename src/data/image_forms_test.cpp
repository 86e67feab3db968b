// Every form of image source, on small files of exactly that form.
#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <set>

#include "core/index.h"
#include "data/data_test_files.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using PairedFolders = FolderTest;
using SiddScenes = FolderTest;
using ClassFolders = FolderTest;
using Masks = FolderTest;
using ImageFolder = FolderTest;

std::string message_of(const std::string& source, const DataOptions& options = {}) {
  try {
    const auto data = open_dataset(source, options);
    data->samples(Part::calibration);
    data->samples(Part::heldout);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_F(PairedFolders, GiveInputAndTargetOfTheSamePlace) {
  for (int scene = 0; scene < 4; ++scene) {
    const std::string name = "room" + std::string(1, static_cast<char>('a' + scene)) + "_1.png";
    write("noisy/" + name, place_image(40, 48, 10 * scene));
    write("clean/" + name, place_image(40, 48, 10 * scene + 1));
  }
  const auto data = open_dataset(path(), {.crop = 16, .limit = 8});
  EXPECT_EQ(data->target_kind(), TargetKind::image);
  EXPECT_EQ(data->manifest().form, "paired folders");
  const auto samples = data->samples(Part::calibration);
  ASSERT_EQ(samples.size(), 8U);
  for (const Sample& sample : samples) {
    EXPECT_EQ(sample.input.sizes(), at::IntArrayRef({3, 16, 16}));
    // Red and green tell the place: equal in both. Blue tells the image: 1/255 apart.
    EXPECT_TRUE(at::equal(sample.input.slice(0, 0, 2), sample.target.slice(0, 0, 2)));
    EXPECT_NEAR((sample.target[2] - sample.input[2]).mean().item<double>(), 1.0 / 255, 1e-6);
  }
}

TEST_F(PairedFolders, Read16BitAndGreyAndScaleValues) {
  for (const char* name : {"a.tiff", "b.tiff"}) {
    write("noisy/" + std::string(name), cv::Mat(32, 32, CV_16UC1, cv::Scalar(13107)));  // 0.2 of 65535
    write("clean/" + std::string(name), cv::Mat(32, 32, CV_16UC1, cv::Scalar(65535)));
  }
  const auto data = open_dataset(path(), {.channels = 1, .crop = 16, .value_scale = 255});
  const Sample sample = data->samples(Part::calibration).front();
  EXPECT_EQ(sample.input.sizes(), at::IntArrayRef({1, 16, 16}));
  EXPECT_NEAR(sample.input.mean().item<double>(), 51, 1e-4);
  EXPECT_NEAR(sample.target.mean().item<double>(), 255, 1e-4);
}

/// A mask of `values` in four quarters of a 32 x 32 image.
cv::Mat mask_of(const std::array<int, 4>& values) {
  cv::Mat mask(32, 32, CV_8UC1);
  for (int q = 0; q < 4; ++q)
    mask(cv::Rect(q % 2 * 16, q / 2 * 16, 16, 16)).setTo(cv::Scalar(values[at_index(q)]));
  return mask;
}

TEST_F(Masks, AreClassNumbersOfTheSamePlace) {
  for (int scene = 0; scene < 4; ++scene) {
    const std::string name = "room" + std::string(1, static_cast<char>('a' + scene)) + "_1.";
    const cv::Mat mask = mask_of({0, 1, 2, 255});
    cv::Mat image;
    cv::cvtColor(mask, image, cv::COLOR_GRAY2BGR);
    write("images/" + name + "bmp", image);
    write("masks/" + name + "png", mask);
  }
  const auto data = open_dataset(path(), {.crop = 24, .limit = 8, .value_scale = 255});
  EXPECT_EQ(data->target_kind(), TargetKind::label_map);
  EXPECT_EQ(data->manifest().form, "images and masks");
  Rng rng(1);
  auto samples = data->samples(Part::calibration);
  ASSERT_EQ(samples.size(), 8U);
  for (int k = 0; k < 8; ++k) samples.push_back(data->random_crop(rng, 24, true));
  for (const Sample& sample : samples) {
    EXPECT_EQ(sample.target.scalar_type(), at::kLong);
    EXPECT_TRUE(at::equal(sample.input[1].round().to(at::kLong), sample.target)) << sample.name;
  }
}

TEST_F(Masks, WithoutALabelThatCountsAreLeftOut) {
  for (int k = 0; k < 6; ++k) {
    const std::string name = "x" + std::string(1, static_cast<char>('a' + k)) + ".png";
    write("images/" + name, place_image(64, 64, k));
    cv::Mat mask(64, 64, CV_8UC1, cv::Scalar(255));
    mask(cv::Rect(0, 0, k == 0 ? 0 : 20, 64)).setTo(cv::Scalar(1));
    write("masks/" + name, mask);
  }
  const auto data = open_dataset(path(), {.crop = 16, .limit = 40, .split = "all"});
  auto samples = data->samples(Part::calibration);
  EXPECT_GT(samples.size(), 5U);
  EXPECT_LT(samples.size(), 40U);
  Rng rng(1);
  for (int k = 0; k < 50; ++k) samples.push_back(data->random_crop(rng, 16, true));
  for (const Sample& sample : samples) EXPECT_EQ(sample.target.min().item<int>(), 1);
  EXPECT_NE(data->notes().back().find("no label that counts"), std::string::npos);
  const auto whole = open_dataset(path(), {.crop = 16, .heldout_crop = 16, .split = "all"});  // their middles
  EXPECT_THROW(whole->samples(Part::all), InputError);
  EXPECT_EQ(open_dataset(path(), {.heldout_crop = 0, .split = "all"})->samples(Part::all).size(), 5U);
}

TEST_F(Masks, OfBlackAndWhiteAreTwoClasses) {
  for (const char* name : {"a", "b", "c"})
    write("images/" + std::string(name) + ".png", place_image(32, 32, 1));
  write("masks/a.png", mask_of({0, 0, 0, 0}));
  write("masks/b.png", mask_of({0, 255, 255, 0}));
  write("masks/c.png", mask_of({255, 0, 0, 0}));
  const auto data = open_dataset(path(), {.split = "all"});
  const auto samples = data->samples(Part::all);
  ASSERT_EQ(samples.size(), 3U);
  double ones = 0;
  for (const Sample& sample : samples) {
    EXPECT_LE(sample.target.max().item<std::int64_t>(), 1);
    ones += sample.target.sum().item<double>();
  }
  EXPECT_EQ(ones, 3 * 16 * 16);
}

TEST_F(Masks, NameWhatIsWrong) {
  write("images/a.png", place_image(32, 32, 1));
  write("images/b.png", place_image(32, 32, 1));
  write("masks/a.png", mask_of({0, 255, 0, 0}));
  EXPECT_NE(message_of(path()).find("images/b.png: has no mask"), std::string::npos);
  write("masks/b.png", cv::Mat(32, 30, CV_8UC1, cv::Scalar(0)));
  EXPECT_NE(message_of(path(), {.crop = 16}).find("b.png: is 32x32, but its target"), std::string::npos);
  write("masks/b.png", cv::Mat(32, 32, CV_8UC3, cv::Scalar(0, 0, 128)));
  EXPECT_NE(message_of(path(), {.crop = 16}).find("is in colour"), std::string::npos);
  write("masks/b.png", mask_of({0, 0, 0, 255}));
  write("preview.png", place_image(32, 32, 1));  // beside them, no data
  EXPECT_EQ(message_of(path(), {.crop = 16}), "");
  write("masks/c.png", mask_of({0, 0, 0, 255}));
  EXPECT_NE(message_of(path(), {.crop = 16}).find("masks/c.png: has no image"), std::string::npos);
  write("images/c.png", place_image(32, 32, 1));
  write("masks/c.bmp", mask_of({0, 0, 0, 255}));
  EXPECT_NE(message_of(path(), {.crop = 16}).find("has the name of"), std::string::npos);
}

TEST_F(Masks, OfTwoClassesAndThenMoreAreRefused) {
  for (int k = 0; k < 20; ++k) {
    const std::string name = "x" + std::string(1, static_cast<char>('a' + k)) + ".png";
    write("images/" + name, place_image(32, 32, k));
    write("masks/" + name, mask_of({0, 255, 0, k == 19 ? 2 : 0}));
  }
  EXPECT_NE(message_of(path(), {.crop = 16, .split = "all"}).find("other values than 0 and 255"),
            std::string::npos);
}

TEST_F(PairedFolders, KeepRedRed) {
  write("noisy/a.png", cv::Mat(16, 16, CV_8UC3, cv::Scalar(0, 0, 255)));  // BGR: red
  write("clean/a.png", cv::Mat(16, 16, CV_8UC3, cv::Scalar(0, 0, 255)));
  const auto data = open_dataset(path(), {.split = "all"});
  const Sample sample = data->samples(Part::heldout).front();
  EXPECT_EQ(sample.input[0].min().item<float>(), 1);
  EXPECT_EQ(sample.input[2].max().item<float>(), 0);
}

TEST_F(PairedFolders, NameWhatDoesNotMatch) {
  write("noisy/a.png", place_image(32, 32, 1));
  write("noisy/b.png", place_image(32, 32, 1));
  EXPECT_NE(message_of(path()).find("no clean/"), std::string::npos);
  write("clean/a.png", place_image(32, 32, 1));
  EXPECT_NE(message_of(path()).find("noisy/b.png: has no partner"), std::string::npos);
  write("clean/b.png", place_image(32, 40, 1));
  EXPECT_NE(message_of(path(), {.crop = 16}).find("noisy/b.png: is 32x32, but its target"),
            std::string::npos);
  write("clean/b.png", place_image(32, 32, 1));
  EXPECT_EQ(message_of(path(), {.crop = 16}), "");
  write("clean/c.png", place_image(32, 32, 1));
  EXPECT_NE(message_of(path()).find("clean/c.png: has no partner"), std::string::npos);
}

TEST_F(PairedFolders, RefuseDamagedImages) {
  for (const char* extension : {".png", ".jpg"}) {
    const std::string name = std::string("a") + extension;
    write("noisy/" + name, place_image(64, 64, 1));
    write("clean/" + name, place_image(64, 64, 1));
    std::filesystem::resize_file(path("noisy/" + name),
                                 std::filesystem::file_size(path("noisy/" + name)) / 2);
    EXPECT_NE(
        message_of(path(), {.crop = 16, .split = "all"}).find("noisy/" + name + ": the image is cut short"),
        std::string::npos);
    std::filesystem::remove_all(path("noisy"));
    std::filesystem::remove_all(path("clean"));
  }
  write_text("noisy/a.png", "no image at all");
  write("clean/a.png", place_image(64, 64, 1));
  EXPECT_NE(message_of(path(), {.split = "all"}).find("can't be read as an image"), std::string::npos);
}

TEST_F(SiddScenes, OfSmallAndMediumAreFoundAndSplitByScene) {
  // Two instances of scene 001 and one of 002; Medium has two images an instance.
  for (const char* folder : {"0001_001_S6_00100_00060_3200_L", "0002_001_S6_00100_00020_3200_N",
                             "0003_002_IP_00800_01000_5500_N"}) {
    const std::string base = std::string("Data/") + folder + "/" + std::string(folder).substr(0, 4);
    for (const char* number : {"010", "011"}) {
      write(base + "_NOISY_SRGB_" + number + ".PNG", place_image(32, 32, 7));
      write(base + "_GT_SRGB_" + number + ".PNG", place_image(32, 32, 8));
    }
  }
  const auto data = open_dataset(path(), {.crop = 16, .limit = 4});
  const Manifest manifest = data->manifest();
  EXPECT_EQ(manifest.form, "SIDD scene folders");
  EXPECT_EQ(manifest.calibration.size() + manifest.heldout.size(), 6U);
  EXPECT_EQ(manifest.calibration_scenes.size(), 1U);
  EXPECT_EQ(manifest.heldout_scenes.size(), 1U);
  EXPECT_NE(manifest.calibration_scenes, manifest.heldout_scenes);
  const Sample sample = data->samples(Part::calibration).front();
  EXPECT_NEAR((sample.target[2] - sample.input[2]).mean().item<double>(), 1.0 / 255, 1e-6);
}

TEST_F(SiddScenes, ASingleFolderAndAMissingPartner) {
  write("0001_NOISY_SRGB_010.PNG", place_image(32, 32, 7));
  EXPECT_NE(message_of(path()).find("0001_NOISY_SRGB_010.PNG: its clean image 0001_GT_SRGB_010.PNG"),
            std::string::npos);
  write("0001_GT_SRGB_010.PNG", place_image(32, 32, 8));
  EXPECT_EQ(message_of(path(), {.crop = 16, .split = "all"}), "");
}

TEST_F(ClassFolders, AreLabelledInSortedOrderAndSplitWithinEachClass) {
  for (int label = 0; label < 3; ++label)
    for (int i = 0; i < 4; ++i) {
      const std::string name =
          std::string(1, static_cast<char>('z' - label)) + "/" + std::to_string(i) + ".png";
      write(name, place_image(20, 20, 100 + label));
    }
  const auto data = open_dataset(path(), {.limit = 0});
  EXPECT_EQ(data->target_kind(), TargetKind::label);
  for (const Part part : {Part::calibration, Part::heldout}) {
    std::vector<int> counts(3);
    for (const Sample& sample : data->samples(part)) {
      EXPECT_EQ(sample.input.sizes(), at::IntArrayRef({3, 20, 20}));  // whole, whatever size_multiple is
      const auto label = sample.target.item<std::int64_t>();
      ++counts.at(static_cast<std::size_t>(label));
      // x sorts before y before z, and z was written with blue 100.
      EXPECT_NEAR(sample.input[2].mean().item<double>() * 255, 102 - static_cast<double>(label), 1e-3);
    }
    EXPECT_EQ(counts, (std::vector<int>{2, 2, 2}));
  }
  Rng rng(1);
  const Sample sample = data->random_crop(rng, 96, true);
  EXPECT_EQ(sample.input.sizes(), at::IntArrayRef({3, 20, 20}));
  EXPECT_EQ(sample.target.scalar_type(), at::kLong);
}

TEST_F(ClassFolders, AreTrainedOnAsTheyAreJudged) {
  for (int k = 0; k < 8; ++k)
    write(std::string(k % 2 == 0 ? "a/" : "b/") + std::to_string(k) + ".png", place_image(48, 48, k));
  const auto data = open_dataset(path(), {.crop = 16});
  Rng rng(1);
  for (int k = 0; k < 10; ++k)
    EXPECT_EQ(data->random_crop(rng, 16, false).input.sizes(), at::IntArrayRef({3, 48, 48}));
}

TEST_F(ClassFolders, NeedOneSize) {
  write("a/1.png", place_image(20, 20, 1));
  write("b/1.png", place_image(20, 24, 1));
  EXPECT_NE(message_of(path(), {.split = "all"}).find("class images need one size"), std::string::npos);
  std::filesystem::create_directories(path("c"));
  EXPECT_NE(message_of(path()).find("c: holds no images"), std::string::npos);
}

TEST_F(ClassFolders, AreBroughtToTheSizeOfANetworkThatHasOne) {
  cv::Mat large(40, 64, CV_8UC3, cv::Scalar::all(0));
  large(cv::Rect(14, 2, 35, 35)) = cv::Scalar::all(255);  // seven eighths of the middle 40x40
  for (const char* name : {"a/1.png", "a/2.png"}) write(name, large);
  for (const char* name : {"b/1.png", "b/2.png"}) write(name, cv::Mat(20, 20, CV_8UC3, cv::Scalar::all(255)));
  const auto data = open_dataset(path(), {.limit = 0, .height = 20, .width = 20, .split = "all"});
  const auto check = [white = at::ones({3, 20, 20})](const Sample& sample) {
    ASSERT_EQ(sample.input.sizes(), white.sizes());
    EXPECT_TRUE(at::allclose(sample.input, white, 0, 1e-5));  // areas are averaged in float32
  };
  for (const Sample& sample : data->samples(Part::calibration)) check(sample);
  Rng rng(1);
  for (int k = 0; k < 8; ++k) check(data->random_crop(rng, 16, true));
  ASSERT_EQ(data->notes().size(), 2U);  // and one on the split
  EXPECT_NE(data->notes().back().find("20x20: the middle seven eighths"), std::string::npos);
}

TEST_F(PairedFolders, InputsAreNormalisedAndTargetsAreNot) {
  for (const char* name : {"noisy/a_1.png", "clean/a_1.png"})
    write(name, cv::Mat(32, 32, CV_8UC3, cv::Scalar(51, 102, 204)));  // blue, green, red
  const auto data = open_dataset(
      path(), {.crop = 16, .mean = {5, 1, 0}, .deviation = {2, 0.5, 1}, .value_scale = 10, .split = "all"});
  const Sample sample = data->samples(Part::calibration).front();
  const at::Tensor red_green_blue = at::tensor({1.5F, 6.0F, 2.0F}).view({3, 1, 1}).expand({3, 16, 16});
  EXPECT_TRUE(at::allclose(sample.input, red_green_blue, 0, 1e-5));
  EXPECT_TRUE(at::allclose(sample.target.mean(), at::tensor((8.0F + 4 + 2) / 3), 0, 1e-5));
  EXPECT_THROW(open_dataset(path(), {.mean = {0.5}}), InputError);
  EXPECT_THROW(open_dataset(path(), {.mean = {0.5}, .deviation = {0}}), InputError);
  const auto grey = open_dataset(path(), {.crop = 16, .mean = {0.5}, .deviation = {1}, .split = "all"});
  EXPECT_THROW(grey->samples(Part::calibration), InputError);
}

TEST_F(ImageFolder, WithNoiseHasTargetsAndWithoutHasNone) {
  for (const char* name : {"one.png", "two.png"})
    write(name, cv::Mat(96, 96, CV_8UC3, cv::Scalar(90, 120, 150)));
  const auto noisy = open_dataset(path(), {.crop = 64, .noise = "gaussian:25"});
  const Sample drawn = noisy->samples(Part::calibration).front();
  // 12288 values: their deviation is known to 1/sqrt(2·12288) = 0.6 %; 4 times that is allowed.
  EXPECT_NEAR((drawn.input - drawn.target).std().item<double>() * 255, 25, 25 * 0.026);
  const auto plain = open_dataset(path(), {.crop = 64});
  EXPECT_EQ(plain->target_kind(), TargetKind::none);
  EXPECT_FALSE(plain->samples(Part::heldout).front().target.defined());
}

TEST_F(ImageFolder, NoiseNeedsCleanImages) {
  write("noisy/a.png", place_image(32, 32, 1));
  write("clean/a.png", place_image(32, 32, 1));
  EXPECT_NE(message_of(path(), {.noise = "camera"}).find("has inputs of its own (paired folders)"),
            std::string::npos);
}

TEST_F(ImageFolder, UnknownSourcesAndOptionsAreRefused) {
  EXPECT_NE(message_of(path("nothing")).find("no such file"), std::string::npos);
  EXPECT_NE(message_of(path()).find("no known form of data"), std::string::npos);
  write_text("notes.txt", "text");
  EXPECT_NE(message_of(path("notes.txt")).find("no known form of data"), std::string::npos);
  write("a.png", place_image(64, 64, 1));
  EXPECT_NE(message_of(path(), {.channels = 2}).find("1 or 3 channels"), std::string::npos);
  EXPECT_NE(message_of(path(), {.crop = -1}).find("negative"), std::string::npos);
  EXPECT_NE(message_of(path(), {.noise = "fog"}).find("is no noise model"), std::string::npos);
  EXPECT_NE(message_of(path(), {.crop = 128, .split = "all"}).find("as large as 128x128"), std::string::npos);
}

}  // namespace
}  // namespace quboprune
