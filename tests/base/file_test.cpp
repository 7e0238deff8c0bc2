#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "base/error.h"

namespace nibble::base {
namespace {

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "nibble-file-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path put(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static std::string get(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  size_t files() const {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) count += entry.path().empty() ? 0 : 1;
    return count;
  }
  template <typename Act>
  static ErrorKind kind_of(Act&& act) {
    try {
      act();
    } catch (const Error& e) {
      return e.kind();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorKind::kInternal;
  }

  fs::path folder_;
};

TEST_F(FileTest, MapsWhatIsThere) {
  const auto file = MappedFile::open(put("a", "hello"));
  EXPECT_EQ(as_text(file->bytes()), "hello");
  EXPECT_NO_THROW(file->check_unchanged());
}

TEST_F(FileTest, RefusesWhatIsNoFileWithBytes) {
  EXPECT_EQ(kind_of([&] { MappedFile::open(folder_ / "absent"); }), ErrorKind::kIo);
  EXPECT_EQ(kind_of([&] { MappedFile::open(folder_); }), ErrorKind::kIo);
  const fs::path empty = put("empty", "");
  EXPECT_EQ(kind_of([&] { MappedFile::open(empty); }), ErrorKind::kMalformed);
  EXPECT_TRUE(MappedFile::open(empty, true)->bytes().empty());
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { MappedFile::open(folder_ / "pipe"); }), ErrorKind::kIo) << "and must not wait for a writer";
}

TEST_F(FileTest, NoticesThatAFileChanged) {
  const fs::path path = put("a", "hello");
  const auto file = MappedFile::open(path);
  std::ofstream(path, std::ios::app) << " world";
  EXPECT_EQ(kind_of([&] { file->check_unchanged(); }), ErrorKind::kIo);
}

TEST_F(FileTest, OpenBeneathOpensPlainPathsBelow) {
  put("sub/deep/data.bin", "x1");
  EXPECT_EQ(as_text(MappedFile::open_beneath(folder_, "sub/deep/data.bin", "net")->bytes()), "x1");
}

TEST_F(FileTest, OpenBeneathRefusesEveryWayOut) {
  put("outside", "secret");
  put("in/data", "x");
  const fs::path in = folder_ / "in";
  const std::string absolute = (folder_ / "outside").string();
  for (const std::string& bad :
       {std::string("../outside"), std::string("a/../../outside"), std::string(".."), absolute, std::string(""),
        std::string("C:\\x"), std::string("..\\outside"), std::string("data\0x", 6), std::string(2000, 'a')})
    EXPECT_EQ(kind_of([&] { MappedFile::open_beneath(in, bad, "net"); }), ErrorKind::kMalformed) << bad;
}

TEST_F(FileTest, OpenBeneathFollowsNoLinks) {
  put("outside", "secret");
  put("real/file", "y");
  put("in/data", "x");
  const fs::path in = folder_ / "in";
  fs::create_symlink(folder_ / "outside", in / "link");
  fs::create_symlink(in / "data", in / "inner_link");
  fs::create_directory_symlink(folder_ / "real", in / "folder_link");
  for (const char* bad : {"link", "inner_link", "folder_link/file"})
    EXPECT_THROW(MappedFile::open_beneath(in, bad, "net"), Error) << bad;
  EXPECT_THROW(MappedFile::open_beneath(in, "absent", "net"), Error);
}

TEST_F(FileTest, SameFileSeesThroughLinks) {
  const fs::path a = put("a", "x");
  const fs::path b = put("b", "x");
  fs::create_hard_link(a, folder_ / "hard");
  fs::create_symlink(a, folder_ / "soft");
  EXPECT_TRUE(same_file(a, folder_ / "hard"));
  EXPECT_TRUE(same_file(a, folder_ / "soft"));
  EXPECT_FALSE(same_file(a, b));
  EXPECT_FALSE(same_file(a, folder_ / "absent"));
}

TEST_F(FileTest, WritesNothingBeforeCommitAndAllAfter) {
  const fs::path path = folder_ / "out";
  AtomicFile file(path, false);
  file.write("one ");
  file.write("two");
  EXPECT_EQ(file.size(), 7u);
  EXPECT_FALSE(fs::exists(path));
  file.flush();
  EXPECT_EQ(get(file.temporary_path()), "one two");
  file.commit();
  EXPECT_EQ(get(path), "one two");
  EXPECT_EQ(files(), 1u);
}

TEST_F(FileTest, LeavesNothingBehindWithoutCommit) {
  try {
    AtomicFile file(folder_ / "out", false);
    file.write("half");
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(FileTest, ASignalHandlerCanRemoveWhatIsUnfinished) {
  AtomicFile file(folder_ / "out", false);
  file.write("half");
  EXPECT_EQ(files(), 1u);
  remove_temporary_files();
  EXPECT_EQ(files(), 0u);
}

TEST_F(FileTest, RefusesAnExistingOutputUnlessForced) {
  const fs::path path = put("out", "old");
  EXPECT_EQ(kind_of([&] { AtomicFile(path, false); }), ErrorKind::kUsage);
  EXPECT_EQ(get(path), "old");
  {
    AtomicFile file(path, true);
    file.write("unfinished");
  }
  EXPECT_EQ(get(path), "old") << "a failed overwrite keeps the old file";
  AtomicFile file(path, true);
  file.write("new");
  file.commit();
  EXPECT_EQ(get(path), "new");
}

TEST_F(FileTest, RefusesItsInputEvenWhenForced) {
  const fs::path input = put("in", "x");
  fs::create_symlink(input, folder_ / "soft");
  const std::array<fs::path, 1> inputs = {input};
  EXPECT_EQ(kind_of([&] { AtomicFile(input, true, inputs); }), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_ / "soft", true, inputs); }), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_ / "." / "in", true, inputs); }), ErrorKind::kUsage);
  EXPECT_EQ(get(input), "x");
}

TEST_F(FileTest, RefusesDirectoriesAndMissingFolders) {
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_, true); }), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_ / "", true); }), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_ / "no" / "out", false); }), ErrorKind::kIo);
}

TEST_F(FileTest, RefusesWhatCannotFitBeforeWriting) {
  EXPECT_EQ(kind_of([&] { AtomicFile(folder_ / "out", false, {}, uint64_t{1} << 60); }), ErrorKind::kIo);
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace nibble::base
