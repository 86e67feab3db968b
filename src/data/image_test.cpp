#include "data/image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include "data/data_test_files.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// A PNG whose pixels are spoilt in the middle: libpng complains of it on stderr.
class DamagedImage : public FolderTest {
 protected:
  DamagedImage() {
    write("a.png", place_image(64, 64, 3));
    std::ifstream in(path("a.png"), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto half = static_cast<std::ptrdiff_t>(bytes.size() / 2);
    std::fill(bytes.begin() + half, bytes.begin() + half + 20, '\0');
    write_text("a.png", bytes);
  }
};

TEST_F(DamagedImage, IsNamedByOneErrorAndNothingElse) {
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(read_image(path("a.png"), 3), InputError);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(DamagedImage, LeavesTheStderrOfOtherThreadsAlone) {
  constexpr int kLines = 2000;
  ::testing::internal::CaptureStderr();
  std::atomic<bool> reading = false;
  std::thread other([&] {
    while (!reading) std::this_thread::yield();
    for (int i = 0; i < kLines; ++i) std::fputs("said\n", stderr);
  });
  for (int i = 0; i < 200; ++i) {
    reading = true;
    EXPECT_THROW(read_image(path("a.png"), 3), InputError);
  }
  other.join();
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), kLines);
}

TEST_F(DamagedImage, LeavesNoFileOpen) {
  const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(before);
  for (int i = 0; i < 20; ++i) EXPECT_THROW(read_image(path("a.png"), 3), InputError);
  const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(after);
  EXPECT_EQ(before, after);  // the lowest number that is free
}

}  // namespace
}  // namespace quboprune
