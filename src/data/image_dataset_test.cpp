// What holds for image data sets of any form: parts, crops, turns, seeds, threads, memory.
#include <ATen/ATen.h>

#include <atomic>
#include <future>
#include <set>

#include "data/cut.h"
#include "data/data_test_files.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class ImageDatasets : public FolderTest {
 protected:
  /// Pairs that are equal: every pixel tells its image and place.
  void write_pairs(int count, int rows, int columns) const {
    for (int i = 0; i < count; ++i) {
      const std::string name = std::string(2, static_cast<char>('a' + i)) + ".png";
      write("noisy/" + name, place_image(rows, columns, 20 * i));
      write("clean/" + name, place_image(rows, columns, 20 * i));
    }
  }
};

int red_at(const Sample& sample, int y, int x) {
  return static_cast<int>(std::lround(sample.input[0][y][x].item<double>() * 255));
}

TEST_F(ImageDatasets, TwoPartsShareNoScene) {
  write_pairs(6, 40, 40);
  const auto data = open_dataset(path(), {.crop = 16, .limit = 12});
  std::set<std::string> calibration, heldout;
  for (const Sample& sample : data->samples(Part::calibration)) calibration.insert(sample.scene);
  for (const Sample& sample : data->samples(Part::heldout)) heldout.insert(sample.scene);
  EXPECT_EQ(calibration.size(), 3U);
  EXPECT_EQ(heldout.size(), 3U);
  for (const std::string& scene : calibration) EXPECT_EQ(heldout.count(scene), 0U);
  Rng rng(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(calibration.count(data->random_crop(rng, 16, true).scene), 1U);
}

TEST_F(ImageDatasets, CropsOfOnePixelAreCrops) {
  write_pairs(2, 40, 40);
  const auto samples =
      open_dataset(path(), {.crop = 1, .limit = 4, .size_multiple = 1})->samples(Part::calibration);
  EXPECT_EQ(samples.size(), 4U);
  EXPECT_EQ(samples.front().input.sizes(), at::IntArrayRef({3, 1, 1}));
}

/// A call for more crops than anyone has time for.
TEST_F(ImageDatasets, ReadingIsReportedAndCanBeStopped) {
  write_pairs(2, 40, 40);
  const auto data = open_dataset(path(), {.crop = 8, .limit = 1'000'000'000});
  std::atomic<bool> stop = false;
  int reports = 0;
  const Control control{[&](std::string_view, double, double, double) { stop = ++reports == 100; }, &stop};
  EXPECT_THROW(data->samples(Part::calibration, control), Stopped);
  EXPECT_EQ(reports, 100);
}

TEST_F(ImageDatasets, HalvesOfOneImageShareNoPixel) {
  write_pairs(1, 30, 200);
  const auto data = open_dataset(path(), {.crop = 16, .limit = 40, .heldout_crop = 0, .size_multiple = 1});
  EXPECT_EQ(data->notes().size(), 1U);
  int calibration_end = 0;  // red tells x
  for (const Sample& sample : data->samples(Part::calibration))
    calibration_end = std::max(calibration_end, red_at(sample, 0, 15));
  const int heldout_begin = red_at(data->samples(Part::heldout).front(), 0, 0);
  EXPECT_LT(calibration_end, 100);
  EXPECT_GT(heldout_begin, 100);
}

TEST_F(ImageDatasets, HeldOutImagesAreTheirMiddle) {
  write_pairs(2, 100, 90);
  const auto data = open_dataset(path(), {.heldout_crop = 64, .split = "all"});
  const Sample cut = data->samples(Part::heldout).front();
  EXPECT_EQ(cut.input.sizes(), at::IntArrayRef({3, 64, 64}));
  EXPECT_EQ(red_at(cut, 0, 0), 13);  // (90 - 64) / 2
  const auto whole = open_dataset(path(), {.heldout_crop = 0, .split = "all"});
  EXPECT_EQ(whole->samples(Part::heldout).front().input.sizes(), at::IntArrayRef({3, 96, 80}));
  const auto limited = open_dataset(path(), {.heldout_limit = 1, .split = "all"});
  EXPECT_EQ(limited->samples(Part::heldout).size(), 1U);
}

TEST_F(ImageDatasets, SamplesRepeatAndFollowTheSeedButHeldOutOnesDoNot) {
  for (int i = 0; i < 4; ++i)
    write(std::string(3, static_cast<char>('a' + i)) + ".png", place_image(200, 200, i));
  const auto inputs = [&](std::uint64_t seed, Part part) {
    const auto data = open_dataset(path(), {.crop = 32, .limit = 6, .noise = "camera", .seed = seed});
    std::vector<at::Tensor> result;
    for (const Sample& sample : data->samples(part)) result.push_back(sample.input);
    return result;
  };
  const auto first = inputs(1, Part::calibration);
  const auto again = inputs(1, Part::calibration);
  const auto other = inputs(2, Part::calibration);
  ASSERT_EQ(first.size(), 6U);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], again[i]));
  EXPECT_FALSE(at::equal(first[0], other[0]));
  EXPECT_TRUE(at::equal(inputs(1, Part::heldout)[0], inputs(2, Part::heldout)[0]));
}

TEST_F(ImageDatasets, RandomCropsDependOnTheGeneratorAlone) {
  write_pairs(5, 60, 60);
  const auto data = open_dataset(path(), {.split = "all"});
  const auto draw = [&](std::uint64_t seed) {
    Rng rng(seed);
    std::vector<at::Tensor> result;
    for (int i = 0; i < 50; ++i) result.push_back(data->random_crop(rng, 24, true).input);
    return at::stack(result);
  };
  // Drawn at once by four threads, they are what one thread draws alone.
  std::vector<std::future<at::Tensor>> at_once;
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    at_once.push_back(std::async(std::launch::async, draw, seed));
  for (std::uint64_t seed = 0; seed < 4; ++seed) EXPECT_TRUE(at::equal(at_once[seed].get(), draw(seed)));
}

TEST_F(ImageDatasets, AugmentationReachesAllEightTurnsAndTurnsTargetsAlike) {
  write_pairs(1, 64, 64);
  const auto data = open_dataset(path(), {.split = "all"});
  Rng rng(3);
  std::set<std::string> turns;
  for (int i = 0; i < 200; ++i) {
    const Sample sample = data->random_crop(rng, 8, true);
    EXPECT_TRUE(at::equal(sample.input, sample.target));
    // Red grows along x and green along y: the signs of both along both axes name the turn.
    const auto sign = [&](int channel, int y, int x) {
      const double d = (sample.input[channel][y][x] - sample.input[channel][0][0]).item<double>();
      return std::string(d > 1e-4 ? "+" : d < -1e-4 ? "-" : "0");
    };
    turns.insert(sign(0, 0, 7) + sign(0, 7, 0) + sign(1, 0, 7) + sign(1, 7, 0));
  }
  EXPECT_EQ(turns.size(), 8U);
  for (int i = 0; i < 20; ++i) {
    const Sample plain = data->random_crop(rng, 8, false);
    EXPECT_GT(plain.input[0][0][7].item<double>(), plain.input[0][0][0].item<double>());
    EXPECT_GT(plain.input[1][7][0].item<double>(), plain.input[1][0][0].item<double>());
  }
}

TEST_F(ImageDatasets, CleanImagesAreReducedBeforeNoiseIsDrawn) {
  write("a.png", place_image(256, 256, 1));
  const auto data = open_dataset(path(), {.noise = "gaussian:0", .max_downscale = 4, .split = "all"});
  Rng rng(1);
  double smallest = 1e9, largest = 0;
  for (int i = 0; i < 200; ++i) {
    const Sample sample = data->random_crop(rng, 32, false);
    const double step = (sample.target[0][0][31] - sample.target[0][0][0]).item<double>() * 255 / 31;
    smallest = std::min(smallest, step);
    largest = std::max(largest, step);
  }
  EXPECT_NEAR(smallest, 1, 0.15);  // the scale is rounded to whole pixels of 32
  EXPECT_NEAR(largest, 4, 0.4);
  const auto fixed = open_dataset(path(), {.noise = "gaussian:0", .max_downscale = 1, .split = "all"});
  const Sample sample = fixed->random_crop(rng, 32, false);
  EXPECT_NEAR((sample.target[0][0][31] - sample.target[0][0][0]).item<double>() * 255, 31, 1e-3);
}

TEST_F(ImageDatasets, ImagesTooSmallAreLeftOutAndNamed) {
  write_pairs(2, 64, 64);
  write("noisy/tiny.png", place_image(8, 8, 1));
  write("clean/tiny.png", place_image(8, 8, 1));
  const auto data = open_dataset(path(), {.crop = 32, .limit = 6, .split = "all"});
  const auto samples = data->samples(Part::calibration);
  EXPECT_EQ(samples.size(), 6U);
  for (const Sample& sample : samples) EXPECT_NE(sample.name, "tiny.png");
  const auto notes = data->notes();
  ASSERT_EQ(notes.size(), 2U);  // the first tells of split "all"
  EXPECT_NE(notes[1].find("1 of 3 images"), std::string::npos);
  EXPECT_NE(notes[1].find("tiny.png"), std::string::npos);
  Rng rng(1);
  EXPECT_THROW(data->random_crop(rng, 100, true), InputError);
}

TEST_F(ImageDatasets, FoldersThatCantBeLookedAtAreBadInput) {
  write_pairs(2, 32, 32);
  std::filesystem::create_symlink("circle", path("circle"));
  EXPECT_THROW(open_dataset(path("circle"), {}), InputError);
}

TEST_F(ImageDatasets, NoCropIsTakenTwiceUnlessNoiseIsDrawn) {
  write_pairs(4, 32, 33);  // each holds two crops
  const auto data = open_dataset(path(), {.crop = 32, .limit = 20});
  std::set<std::pair<std::string, int>> seen;
  const auto samples = data->samples(Part::calibration);
  for (const Sample& sample : samples) seen.insert({sample.name, red_at(sample, 0, 0)});
  EXPECT_EQ(samples.size(), 4U);
  EXPECT_EQ(seen.size(), 4U);
  const auto noisy = open_dataset(path("clean"), {.crop = 32, .limit = 20, .noise = "gaussian:5"});
  EXPECT_EQ(noisy->samples(Part::calibration).size(), 20U);
}

TEST_F(ImageDatasets, PartsTooSmallForACropNameWhatWouldHelp) {
  write_pairs(1, 64, 256);  // one scene: its ends are the parts
  const auto data = open_dataset(path(), {.crop = 64, .split = "0.2"});
  EXPECT_FALSE(data->manifest().calibration_scenes.empty());
  EXPECT_TRUE(data->manifest().apart);
  EXPECT_FALSE(open_dataset(path(), {.split = "all"})->manifest().apart);
  try {
    data->samples(Part::calibration);
    FAIL() << "a crop of 64 out of 49 columns";  // a fifth, less the gap to the other part
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("of 49 at most, or a larger part (--split)"), std::string::npos)
        << error.what();
  }
}

TEST_F(ImageDatasets, CropsThatNoImageHoldsAreRefusedOrMadeSmaller) {
  write_pairs(4, 40, 60);
  const auto strict = open_dataset(path(), {.crop = 64});
  EXPECT_EQ(strict->crop(), 64);
  EXPECT_THROW(strict->samples(Part::calibration), InputError);

  const auto fitted = open_dataset(path(), {.crop = 64, .smaller_crops = true});
  EXPECT_EQ(fitted->crop(), 32);  // a multiple of 16
  for (const Sample& sample : fitted->samples(Part::calibration))
    EXPECT_EQ(sample.input.sizes(), at::IntArrayRef({3, 32, 32}));
  ASSERT_EQ(fitted->notes().size(), 1U);
  EXPECT_EQ(fitted->notes()[0], "no image is as large as 64x64: crops are 32x32");

  write("noisy/large.png", place_image(64, 64, 1));  // one that holds them is enough
  write("clean/large.png", place_image(64, 64, 1));
  const auto one = open_dataset(path(), {.crop = 64, .smaller_crops = true, .split = "all"});
  EXPECT_EQ(one->crop(), 64);
  for (const Sample& sample : one->samples(Part::calibration)) EXPECT_EQ(sample.name, "large.png");
}

TEST_F(ImageDatasets, MoreImagesThanMemoryStillAllTakeTheirTurn) {
  write_pairs(8, 64, 64);
  constexpr std::size_t pair = 2 * 64 * 64 * 3;
  const auto data = open_dataset(path(), {.split = "all", .cache_bytes = 3 * pair});
  Rng rng(1);
  std::set<std::string> seen;
  for (int i = 0; i < 8000; ++i) seen.insert(data->random_crop(rng, 8, true).name);
  EXPECT_EQ(seen.size(), 8U);  // some 60 exchanges among 8 images
}

TEST_F(ImageDatasets, CalibrationCropsVaryMoreThanRandomOnes) {
  // Nine tenths of flat sky above a strip of texture.
  cv::Mat image(200, 200, CV_8UC3, cv::Scalar(200, 160, 120));
  Rng pattern(1);
  for (int y = 180; y < 200; ++y)
    for (int x = 0; x < 200; ++x)
      image.at<cv::Vec3b>(y, x) = cv::Vec3b::all(static_cast<unsigned char>(pattern.below(256)));
  for (const char* folder : {"noisy/", "clean/"}) write(std::string(folder) + "a.png", image);
  const auto data = open_dataset(path(), {.crop = 16, .limit = 8, .split = "all"});
  const auto textured = [](const Sample& sample) {
    return sample.input[0].std().item<double>() > 0.05 ? 1 : 0;
  };
  int chosen = 0, random = 0;
  for (const Sample& sample : data->samples(Part::calibration)) chosen += textured(sample);
  Rng rng(1);
  for (int i = 0; i < 800; ++i) random += textured(data->random_crop(rng, 16, false));
  EXPECT_GT(chosen * 100, random);
}

TEST_F(ImageDatasets, OfANetworkOfOneSizeHaveItWhateverElseIsAsked) {
  for (const char* name : {"noisy/a_1.png", "clean/a_1.png", "noisy/b_1.png", "clean/b_1.png"})
    write(name, cv::Mat(70, 90, CV_8UC3, cv::Scalar::all(9)));
  const auto check = [](const Sample& sample, at::IntArrayRef size) {
    EXPECT_EQ(sample.input.sizes(), size);
    EXPECT_EQ(sample.target.sizes(), size);
  };
  for (const int crop : {0, 16, 512}) {
    const auto data = open_dataset(
        path(), {.crop = crop, .limit = 4, .heldout_crop = crop, .height = 20, .width = 50, .split = "all"});
    for (const Part part : {Part::calibration, Part::heldout, Part::all})
      for (const Sample& sample : data->samples(part)) check(sample, {3, 20, 50});
    Rng rng(1);
    for (int k = 0; k < 30; ++k) check(data->random_crop(rng, crop, true), {3, 20, 50});
  }
  // One of the two is free: it goes by what is asked.
  const auto data =
      open_dataset(path(), {.crop = 32, .limit = 2, .heldout_crop = 64, .width = 50, .split = "all"});
  check(data->samples(Part::calibration)[0], {3, 32, 50});
  check(data->samples(Part::heldout)[0], {3, 64, 50});
  const auto refused = open_dataset(path(), {.height = 71, .width = 50, .split = "all"});
  EXPECT_THROW(refused->samples(Part::calibration), InputError);
  EXPECT_THROW(refused->samples(Part::heldout), InputError);
}

TEST(MiddleCut, KeepsToMultiplesAndToTheImage) {
  const Cut cut = middle_cut({0, 0, 241, 100}, {256, 256}, {16, 16}, 1.0);
  EXPECT_EQ(cut.to, cv::Size(240, 96));
  EXPECT_EQ(cut.from, cv::Rect(0, 2, 240, 96));
  EXPECT_EQ(middle_cut({0, 0, 1000, 900}, {256, 256}, {16, 16}, 3.0).from.size(), cv::Size(768, 768));
  EXPECT_TRUE(middle_cut({0, 0, 15, 100}, {256, 256}, {16, 16}, 1.0).to.empty());
}

}  // namespace
}  // namespace quboprune
