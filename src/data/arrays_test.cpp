// .npy and .npz, written byte by byte as NumPy does.
#include <ATen/ATen.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <vector>

#include "data/data_test_files.h"
#include "data/npy.h"
#include "quboprune/dataset.h"
#include "quboprune/error.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

std::string number(std::uint64_t value, int length) {
  std::string result;
  for (int i = 0; i < length; ++i) result += static_cast<char>(value >> (8 * i) & 0xFFU);
  return result;
}

std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                bool fortran = false, int version = 1) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  while ((header.size() + 11) % 64 != 0) header += ' ';
  header += '\n';
  return "\x93NUMPY" + number(static_cast<std::uint64_t>(version), 2) +
         number(header.size(), version == 1 ? 2 : 4) + header + data;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  std::string result(values.size() * sizeof(T), '\0');
  std::memcpy(result.data(), values.data(), result.size());
  return result;
}

std::string deflated(const std::string& data) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&stream, data.size()), '\0');
  std::vector<unsigned char> input(data.begin(), data.end());
  stream.next_in = input.data();
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<unsigned char*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

/// A zip of files. zip64: sizes in the extra field, as NumPy writes them into the local headers, here in the
/// directory too.
std::string zip(const std::vector<std::pair<std::string, std::string>>& files, bool deflate_them,
                bool zip64) {
  std::string archive, directory;
  for (const auto& [name, data] : files) {
    const std::string packed = deflate_them ? deflated(data) : data;
    const auto crc =
        crc32(0, reinterpret_cast<const unsigned char*>(data.data()), static_cast<uInt>(data.size()));
    const std::string extra =
        zip64 ? number(1, 2) + number(16, 2) + number(data.size(), 8) + number(packed.size(), 8) : "";
    const std::string sizes = zip64 ? number(0xFFFFFFFF, 4) + number(0xFFFFFFFF, 4)
                                    : number(packed.size(), 4) + number(data.size(), 4);
    const std::string common = number(20, 2) + number(0, 2) + number(deflate_them ? 8 : 0, 2) + number(0, 4) +
                               number(crc, 4) + sizes + number(name.size(), 2) + number(extra.size(), 2);
    directory += number(0x02014B50, 4) + number(20, 2) + common + number(0, 8) + number(0, 2) +
                 number(archive.size(), 4) + name + extra;
    archive += number(0x04034B50, 4) + common + name + extra + packed;
  }
  const std::size_t place = archive.size();
  return archive + directory + number(0x06054B50, 4) + number(0, 4) + number(files.size(), 2) +
         number(files.size(), 2) + number(directory.size(), 4) + number(place, 4) + number(0, 2);
}

class Arrays : public FolderTest {
 protected:
  std::string message_of(const std::string& name) const {
    try {
      open_dataset(path(name), {});
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(Arrays, OfEveryTypeAndOrderAreRead) {
  write_text("a.npy", npy("<f4", "(2, 3)", bytes_of<float>({1, 2, 3, 4, 5, 6})));
  EXPECT_TRUE(at::equal(read_npy(path("a.npy")), at::tensor({1.F, 2.F, 3.F, 4.F, 5.F, 6.F}).view({2, 3})));
  write_text("a.npy", npy("<f8", "(2, 3)", bytes_of<double>({1, 4, 2, 5, 3, 6}), true, 2));
  EXPECT_TRUE(
      at::equal(read_npy(path("a.npy")), at::tensor({1., 2., 3., 4., 5., 6.}, at::kDouble).view({2, 3})));
  write_text("a.npy", npy("<i8", "(2,)", bytes_of<std::int64_t>({-1, 7})));
  EXPECT_TRUE(at::equal(read_npy(path("a.npy")), at::tensor({-1, 7}, at::kLong)));
  write_text("a.npy", npy("|u1", "()", bytes_of<unsigned char>({200})));
  EXPECT_EQ(read_npy(path("a.npy")).item<int>(), 200);
  write_text("a.npy", npy("<u2", "(1,)", bytes_of<std::uint16_t>({65000})));
  EXPECT_EQ(read_npy(path("a.npy")).item<int>(), 65000);
  write_text("a.npy", npy("<f2", "(1,)", number(0x3E00, 2)));  // 1.5 in half precision
  EXPECT_EQ(read_npy(path("a.npy")).item<float>(), 1.5F);
}

TEST_F(Arrays, OfNpzAreReadHoweverPacked) {
  std::vector<float> values(2 * 4 * 5, 0.25F);
  values[7] = 3;
  const std::string inputs = npy("<f4", "(2, 4, 5)", bytes_of(values));
  const std::string targets = npy("<i4", "(2,)", bytes_of<std::int32_t>({3, 1}));
  for (const bool deflate_them : {false, true})
    for (const bool zip64 : {false, true}) {
      write_text("d.npz", zip({{"inputs.npy", inputs}, {"targets.npy", targets}, {"readme.txt", "hello"}},
                              deflate_them, zip64));
      const auto arrays = read_npz(path("d.npz"));
      ASSERT_EQ(arrays.size(), 2U);
      EXPECT_EQ(arrays.at("inputs").sizes(), at::IntArrayRef({2, 4, 5}));
      EXPECT_EQ(arrays.at("inputs").flatten()[7].item<float>(), 3);
      const auto data = open_dataset(path("d.npz"), {});
      EXPECT_EQ(data->target_kind(), TargetKind::label);
      EXPECT_EQ(
          data->samples(Part::all)[0].target.item<int>() + data->samples(Part::all)[1].target.item<int>(), 4);
    }
}

TEST_F(Arrays, ThatNobodyWantsArentUnpacked) {
  const std::string inputs = npy("<f4", "(2, 3)", bytes_of(std::vector<float>(6, 0.5F)));
  write_text("d.npz", zip({{"inputs.npy", inputs}, {"other.npy", "no array at all"}}, false, false));
  const auto arrays = read_npz(path("d.npz"), {"inputs"});
  EXPECT_EQ(arrays.at("inputs").numel(), 6);
  EXPECT_FALSE(arrays.at("other").defined());
  EXPECT_THROW(read_npz(path("d.npz")), InputError);
}

TEST_F(Arrays, LeaveOutMapsWithoutALabelThatCounts) {
  std::vector<unsigned char> maps(4 * 20);
  for (std::size_t i = 0; i < maps.size(); ++i)
    maps[i] = i / 20 == 2 ? 255 : static_cast<unsigned char>(i % 3);
  const std::string inputs = npy("<f4", "(4, 3, 4, 5)", bytes_of(std::vector<float>(240, 0.5F)));
  write_text("d.npz", zip({{"inputs.npy", inputs}, {"targets.npy", npy("|u1", "(4, 4, 5)", bytes_of(maps))}},
                          false, false));
  const auto data = open_dataset(path("d.npz"), {});
  EXPECT_EQ(data->samples(Part::all).size(), 3U);
  ASSERT_EQ(data->notes().size(), 1U);
  EXPECT_EQ(data->notes()[0], "1 maps have no label that counts and were left out: sample 2");
}

TEST_F(Arrays, OfNumbersAreNormalisedToo) {
  write_text("d.npy", npy("<f4", "(2, 1, 1, 2)", bytes_of<float>({1, 2, 3, 4})));
  const auto data = open_dataset(path("d.npy"), {.mean = {2}, .deviation = {4}});
  EXPECT_TRUE(at::equal(data->samples(Part::all)[0].input, at::tensor({-0.25F, 0.0F}).view({1, 1, 2})));
}

TEST_F(Arrays, OfWholeNumbersAsLargeAsTheInputsAreMapsOfLabels) {
  const std::string inputs = npy("<f4", "(2, 3, 4, 5)", bytes_of(std::vector<float>(120, 0.5F)));
  const auto open = [&](const std::string& targets) {
    write_text("d.npz", zip({{"inputs.npy", inputs}, {"targets.npy", targets}}, false, false));
    return open_dataset(path("d.npz"), {});
  };
  std::vector<unsigned char> bytes(40);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i % 7);
  const std::vector<std::int32_t> numbers(bytes.begin(), bytes.end());
  const at::Tensor second = (at::arange(20, 40) % 7).view({4, 5});
  for (const auto& targets :
       {npy("|u1", "(2, 4, 5)", bytes_of(bytes)), npy("<i4", "(2, 4, 5)", bytes_of(numbers))}) {
    const auto data = open(targets);
    EXPECT_EQ(data->target_kind(), TargetKind::label_map);
    EXPECT_TRUE(at::equal(data->samples(Part::all)[1].target, second));  // bytes aren't 0..1 here
  }
  // 0 and 255 alone are two classes; with any other number 255 is what doesn't count.
  for (auto& byte : bytes) byte = byte % 2 == 0 ? 0 : 255;
  EXPECT_EQ(open(npy("|u1", "(2, 4, 5)", bytes_of(bytes)))->samples(Part::all)[1].target.max().item<int>(),
            1);
  bytes.front() = 2;
  EXPECT_EQ(open(npy("|u1", "(2, 4, 5)", bytes_of(bytes)))->samples(Part::all)[1].target.max().item<int>(),
            255);
  // Of another size they may be anything, and a channel makes bytes an image.
  EXPECT_EQ(open(npy("<i4", "(2, 20)", bytes_of(numbers)))->target_kind(), TargetKind::tensor);
  EXPECT_EQ(open(npy("|u1", "(2, 1, 4, 5)", bytes_of(bytes)))->target_kind(), TargetKind::image);
}

TEST_F(Arrays, ComeBackAsTheyWereWritten) {
  // A header of any length has to end where 64 bytes do: shapes of several lengths.
  for (const std::int64_t length : {1, 12345, 1234567}) {
    const at::Tensor values = at::arange(length, at::kFloat).reshape({1, length, 1}).permute({1, 0, 2});
    const at::Tensor labels = at::arange(length, at::kLong) - 7;
    write_npz(path("d.npz"), {{"inputs", values}, {"targets", labels}});
    const auto arrays = read_npz(path("d.npz"));
    EXPECT_TRUE(at::equal(arrays.at("inputs"), values)) << length;
    EXPECT_TRUE(at::equal(arrays.at("targets"), labels)) << length;
  }
  EXPECT_THROW(write_npz(path("absent/d.npz"), {}), InputError);
}

TEST_F(Arrays, KnowTheirKindsOfTargets) {
  const std::string pictures = npy("|u1", "(4, 3, 2, 2)", std::string(48, '\xFF'));
  const std::string vectors = npy("<f4", "(4, 6)", std::string(96, '\0'));
  write_text("i.npz", zip({{"inputs.npy", pictures}, {"targets.npy", pictures}}, false, false));
  const auto images = open_dataset(path("i.npz"), {.value_scale = 2});
  EXPECT_EQ(images->target_kind(), TargetKind::image);
  EXPECT_EQ(images->samples(Part::heldout).front().target.max().item<float>(),
            2);  // bytes are images: 255 is 1
  write_text("t.npz", zip({{"inputs.npy", pictures}, {"targets.npy", vectors}}, false, false));
  EXPECT_EQ(open_dataset(path("t.npz"), {})->target_kind(), TargetKind::tensor);
  write_text("n.npy", pictures);
  EXPECT_EQ(open_dataset(path("n.npy"), {})->target_kind(), TargetKind::none);
  write_text("folder/inputs.npy", pictures);
  write_text("folder/targets.npy", vectors);
  const auto folder = open_dataset(path("folder"), {.limit = 1});
  EXPECT_EQ(folder->target_kind(), TargetKind::tensor);
  EXPECT_EQ(folder->samples(Part::calibration).size(), 1U);
  EXPECT_EQ(folder->samples(Part::heldout).size(), 2U);
}

TEST_F(Arrays, SayWhatIsWrong) {
  const std::string one = npy("<f4", "(2, 1)", bytes_of<float>({1, 2}));
  write_text("a.npz", zip({{"x.npy", one}}, false, false));
  EXPECT_NE(message_of("a.npz").find("has no array 'inputs' (it has: x)"), std::string::npos);
  write_text("a.npz", zip({{"inputs.npy", one}, {"targets.npy", npy("<f4", "(1,)", bytes_of<float>({1}))}},
                          false, false));
  EXPECT_NE(message_of("a.npz").find("differ in their number of samples"), std::string::npos);
  write_text("a.npy", npy(">f4", "(2, 1)", bytes_of<float>({1, 2})));
  EXPECT_NE(message_of("a.npy").find("of type '>f4'"), std::string::npos);
  write_text("a.npy", npy("<f4", "(2, 900000000000)", bytes_of<float>({1, 2})));
  EXPECT_NE(message_of("a.npy").find("is cut short"), std::string::npos);
  write_text("a.npy", npy("<f4", "(1, 2)", bytes_of<float>({1, 2})));
  EXPECT_NE(message_of("a.npy").find("holds one sample only"), std::string::npos);
}

TEST_F(Arrays, DamagedAnywhereAreRefusedOrReadButNeverWorse) {
  const std::string whole =
      zip({{"inputs.npy", npy("<f4", "(4, 2)", bytes_of<float>({1, 2, 3, 4, 5, 6, 7, 8}))}}, true, true);
  Rng rng(1);
  int refused = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::string damaged = whole;
    if (trial % 4 == 0)
      damaged.resize(rng.below(static_cast<std::uint32_t>(whole.size())));
    else
      damaged[rng.below(static_cast<std::uint32_t>(whole.size()))] ^= static_cast<char>(1U << rng.below(8));
    write_text("a.npz", damaged);
    refused += message_of("a.npz").empty() ? 0 : 1;  // anything but an InputError fails the test
  }
  // All 100 cut ones, and most of the others: flips in names and dates of the archive do no harm.
  EXPECT_GE(refused, 200);
}

}  // namespace
}  // namespace quboprune
