// SIDD's .mat blocks, written here by matio in both of the formats that are read.
#include <ATen/ATen.h>
#include <hdf5.h>
#include <matio.h>

#include <array>
#include <vector>

#include "data/data_test_files.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

constexpr std::size_t images = 3, blocks = 2, height = 24, width = 20;

/// What the blocks hold: all of image, block, place, channel and file can be read off a value.
unsigned char value_at(std::size_t image, std::size_t block, std::size_t y, std::size_t x, std::size_t c,
                       int file) {
  return static_cast<unsigned char>(image * 67 + block * 31 + y * 3 + x * 5 + c * 11 +
                                    static_cast<std::size_t>(file));
}

class SiddBlocksTest : public FolderTest {
 protected:
  void write_mat(const std::string& name, mat_ft version, matio_compression compression, int file,
                 matio_classes type = MAT_C_UINT8) const {
    std::array<std::size_t, 5> dims{images, blocks, height, width, 3};
    std::vector<unsigned char> data;
    for (std::size_t c = 0; c < 3; ++c)  // MATLAB: the first index fastest
      for (std::size_t x = 0; x < width; ++x)
        for (std::size_t y = 0; y < height; ++y)
          for (std::size_t block = 0; block < blocks; ++block)
            for (std::size_t image = 0; image < images; ++image)
              data.push_back(value_at(image, block, y, x, c, file));
    mat_t* mat = Mat_CreateVer(path(name + ".mat").c_str(), nullptr, version);
    ASSERT_NE(mat, nullptr);
    matvar_t* variable = Mat_VarCreate(name.c_str(), type, type == MAT_C_UINT8 ? MAT_T_UINT8 : MAT_T_INT8, 5,
                                       dims.data(), data.data(), 0);
    ASSERT_NE(variable, nullptr);
    EXPECT_EQ(Mat_VarWrite(mat, variable, compression), 0);
    Mat_VarFree(variable);
    Mat_Close(mat);
  }
  void write_both(mat_ft version, matio_compression compression) const {
    write_mat("ValidationNoisyBlocksSrgb", version, compression, 0);
    write_mat("ValidationGtBlocksSrgb", version, compression, 1);
  }
  void expect_every_value() const {
    const auto data = open_dataset(path(), {.heldout_crop = 0, .size_multiple = 1});
    EXPECT_EQ(data->manifest().form, "SIDD validation blocks");
    const auto samples = data->samples(Part::all);
    ASSERT_EQ(samples.size(), images * blocks);
    for (const Sample& sample : samples) {
      const auto image = static_cast<std::size_t>(std::stoi(sample.name.substr(6, 2)));
      const auto block = static_cast<std::size_t>(std::stoi(sample.name.substr(15, 2)));
      ASSERT_EQ(sample.input.sizes(), at::IntArrayRef({3, height, width}));
      const at::Tensor input = (sample.input * 255).round().to(at::kByte);
      const at::Tensor target = (sample.target * 255).round().to(at::kByte);
      const auto in = input.accessor<unsigned char, 3>();
      const auto out = target.accessor<unsigned char, 3>();
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t y = 0; y < height; ++y)
          for (std::size_t x = 0; x < width; ++x) {
            const auto i = static_cast<std::int64_t>(c), j = static_cast<std::int64_t>(y),
                       k = static_cast<std::int64_t>(x);
            ASSERT_EQ(in[i][j][k], value_at(image, block, y, x, c, 0)) << sample.name;
            ASSERT_EQ(out[i][j][k], value_at(image, block, y, x, c, 1)) << sample.name;
          }
    }
  }
};

TEST_F(SiddBlocksTest, OfVersion5AreRead) {
  write_both(MAT_FT_MAT5, MAT_COMPRESSION_NONE);
  expect_every_value();
}

TEST_F(SiddBlocksTest, OfVersion5CompressedAreRead) {
  write_both(MAT_FT_MAT5, MAT_COMPRESSION_ZLIB);
  expect_every_value();
}

TEST_F(SiddBlocksTest, OfVersion73AreRead) {
  write_both(MAT_FT_MAT73, MAT_COMPRESSION_NONE);
  expect_every_value();
}

TEST_F(SiddBlocksTest, OfVersion73CompressedAreRead) {
  write_both(MAT_FT_MAT73, MAT_COMPRESSION_ZLIB);
  expect_every_value();
}

TEST_F(SiddBlocksTest, OfOtherProgramsThatDontNameMatlabsClassAreRead) {
  write_both(MAT_FT_MAT73, MAT_COMPRESSION_NONE);
  for (const std::string name : {"ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"}) {
    const hid_t file = H5Fopen(path(name + ".mat").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    EXPECT_GE(H5Adelete_by_name(file, name.c_str(), "MATLAB_class", H5P_DEFAULT), 0);
    H5Fclose(file);
  }
  expect_every_value();
}

TEST_F(SiddBlocksTest, OfOneImageStayOnOneSide) {
  write_both(MAT_FT_MAT5, MAT_COMPRESSION_ZLIB);
  // Given by one of the files instead of their folder.
  const auto data = open_dataset(path("ValidationGtBlocksSrgb.mat"), {.crop = 16});
  const Manifest manifest = data->manifest();
  EXPECT_EQ(manifest.calibration_scenes.size() + manifest.heldout_scenes.size(), images);
  EXPECT_EQ(manifest.calibration.size(), blocks * manifest.calibration_scenes.size());
  EXPECT_GE(manifest.heldout_scenes.size(), 1U);
}

TEST_F(SiddBlocksTest, AreRefusedWhenAloneDamagedOrOfAnotherType) {
  const auto message = [&] {
    try {
      open_dataset(path(), {.crop = 16})->samples(Part::calibration);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  write_mat("ValidationNoisyBlocksSrgb", MAT_FT_MAT5, MAT_COMPRESSION_NONE, 0);
  EXPECT_NE(message().find("its partner ValidationGtBlocksSrgb.mat isn't beside it"), std::string::npos);
  write_mat("ValidationGtBlocksSrgb", MAT_FT_MAT5, MAT_COMPRESSION_NONE, 1, MAT_C_INT8);
  EXPECT_NE(message().find("isn't a uint8 array"), std::string::npos);
  write_text("ValidationGtBlocksSrgb.mat", "not a MATLAB file");
  EXPECT_NE(message().find("can't be read as a MATLAB file"), std::string::npos);
}

TEST_F(SiddBlocksTest, CutShortAreRefusedInEveryFormat) {
  for (const mat_ft version : {MAT_FT_MAT5, MAT_FT_MAT73})
    for (const matio_compression compression : {MAT_COMPRESSION_NONE, MAT_COMPRESSION_ZLIB})
      for (const double part : {0.1, 0.5, 0.97}) {
        write_both(version, compression);
        const std::string file = path("ValidationNoisyBlocksSrgb.mat");
        const auto size = static_cast<double>(std::filesystem::file_size(file));
        std::filesystem::resize_file(file, static_cast<std::uintmax_t>(part * size));
        EXPECT_THROW(open_dataset(path(), {.crop = 16})->samples(Part::calibration), InputError)
            << version << " " << compression << " " << part;
      }
}

TEST_F(SiddBlocksTest, DamagedCompressedDataAreRefused) {
  write_both(MAT_FT_MAT5, MAT_COMPRESSION_ZLIB);
  const std::string file = path("ValidationNoisyBlocksSrgb.mat");
  std::string bytes = read_file(file);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 50; ++i) bytes[i] = static_cast<char>(i);
  write_file_atomically(file, bytes);
  try {
    open_dataset(path(), {.crop = 16})->samples(Part::calibration);
    FAIL() << "read all the same";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("damaged"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace quboprune
