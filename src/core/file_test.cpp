#include "quboprune/file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "quboprune/error.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  FileTest() {
    folder_ = fs::path(testing::TempDir()) / (std::string("quboprune_file_") +
                                              testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  ~FileTest() override { fs::remove_all(folder_); }
  FileTest(const FileTest&) = delete;
  FileTest& operator=(const FileTest&) = delete;

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path().filename());
    return found;
  }
  template <typename Call>
  static std::string message_of(Call call) {
    try {
      call();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no InputError";
  }

  fs::path folder_;
};

TEST_F(FileTest, PermissionsOfWhatIsReplacedStay) {
  const fs::path path = folder_ / "secret";
  write_file_atomically(path, "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  write_file_atomically(path, "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FileTest, WritesAllBytesAndLeavesNothingElse) {
  const std::string bytes = std::string("a\0b\n", 4) + std::string(200000, 'x');
  write_file_atomically(folder_ / "out", bytes);
  EXPECT_EQ(read_file(folder_ / "out"), bytes);
  EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(FileTest, ReplacesAnOlderFile) {
  write_file_atomically(folder_ / "out", "a longer text");
  write_file_atomically(folder_ / "out", "short");
  EXPECT_EQ(read_file(folder_ / "out"), "short");
}

TEST_F(FileTest, GivesThePermissionsOfAnOrdinaryFile) {
  write_file_atomically(folder_ / "ours", "1");
  std::ofstream(folder_ / "ordinary") << "1";
  EXPECT_EQ(fs::status(folder_ / "ours").permissions(), fs::status(folder_ / "ordinary").permissions());
}

TEST_F(FileTest, NamesTheFolderThatIsNotThere) {
  const fs::path missing = folder_ / "nowhere";
  EXPECT_NE(message_of([&] { write_file_atomically(missing / "out", "1"); }).find(missing.string()),
            std::string::npos);
  EXPECT_NE(message_of([&] { check_writable(missing / "out"); }).find(missing.string()), std::string::npos);
  EXPECT_FALSE(fs::exists(missing));
}

TEST_F(FileTest, WritesThroughALinkAndKeepsIt) {
  std::ofstream(folder_ / "real") << "old";
  fs::create_symlink("real", folder_ / "link");
  write_file_atomically(folder_ / "link", "new");
  EXPECT_EQ(read_file(folder_ / "real"), "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
}

TEST_F(FileTest, LooksIntoTheFolderThatALinkPointsTo) {
  fs::create_symlink(folder_ / "nowhere" / "real", folder_ / "link");
  EXPECT_NE(message_of([&] { write_file_atomically(folder_ / "link", "1"); }).find("there is no folder"),
            std::string::npos);
  EXPECT_NE(message_of([&] { check_writable(folder_ / "link"); }).find("there is no folder"),
            std::string::npos);
  fs::create_directory(folder_ / "nowhere");
  write_file_atomically(folder_ / "link", "1");
  EXPECT_EQ(read_file(folder_ / "nowhere" / "real"), "1");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
}

TEST_F(FileTest, RefusesALinkInACircle) {
  fs::create_symlink("circle", folder_ / "circle");
  EXPECT_NE(message_of([&] { write_file_atomically(folder_ / "circle", "1"); }).find("circle"),
            std::string::npos);
  EXPECT_TRUE(fs::is_symlink(folder_ / "circle"));
}

TEST_F(FileTest, LeavesADeviceADevice) {
  check_writable("/dev/null");
  write_file_atomically("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(FileTest, RefusesAFolderAsAFile) {
  EXPECT_NE(message_of([&] { write_file_atomically(folder_, "1"); }).find("is a folder"), std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder_); }).find("is a folder"), std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder_ / "none"); }).find("none"), std::string::npos);
}

TEST_F(FileTest, CallsAbsentOnlyWhatIsSurelyNotThere) {
  fs::create_symlink("circle", folder_ / "circle");  // which no one can open, root neither
  EXPECT_TRUE(is_absent(folder_ / "none"));
  EXPECT_TRUE(is_absent(folder_ / "none" / "at all"));
  EXPECT_FALSE(is_absent(folder_));
  EXPECT_FALSE(is_absent(folder_ / "circle"));
}

TEST_F(FileTest, MakesFoldersWithThoseAboveThem) {
  make_folder(folder_ / "a" / "b", "--work");
  make_folder(folder_ / "a" / "b", "--work");
  EXPECT_TRUE(fs::is_directory(folder_ / "a" / "b"));
  std::ofstream(folder_ / "file") << "1";
  EXPECT_NE(message_of([&] { make_folder(folder_ / "file" / "b", "--work"); }).find("--work"),
            std::string::npos);
}

TEST_F(FileTest, LooksWhetherAFileCanBeWrittenAndLeavesNothing) {
  check_writable(folder_ / "out");
  EXPECT_TRUE(names().empty());
}

// The two examples of FIPS 180-4 (its "abc" and the empty message).
TEST_F(FileTest, HashesAsTheStandardSays) {
  EXPECT_EQ(sha256_of_bytes(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_bytes("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write_file_atomically(folder_ / "abc", "abc");
  EXPECT_EQ(sha256_of_file(folder_ / "abc"), sha256_of_bytes("abc"));
}

TEST_F(FileTest, HashesFilesLongerThanAPiece) {
  const std::string bytes(150001, 'q');
  write_file_atomically(folder_ / "long", bytes);
  EXPECT_EQ(sha256_of_file(folder_ / "long"), sha256_of_bytes(bytes));
}

TEST_F(FileTest, CountsMemoryThatWasTouched) {
  const std::int64_t before = peak_rss_bytes();
  const std::vector<char> touched(std::size_t{64} << 20U, 1);
  EXPECT_GE(peak_rss_bytes(), static_cast<std::int64_t>(touched.size()));
  EXPECT_GE(peak_rss_bytes(), before);
}

}  // namespace
}  // namespace quboprune
