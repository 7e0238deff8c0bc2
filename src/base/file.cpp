#include "base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <map>
#include <mutex>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

namespace nibble::base {
namespace {

std::string reason() { return std::strerror(errno); }

int64_t mtime_of(const struct stat& s) { return int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec; }

/// Paths of the temporary files now alive, in fixed buffers so that a signal handler can walk them.
struct LiveTemporary {
  std::atomic<bool> used{false};
  std::array<char, 4096> path{};
};
std::array<LiveTemporary, 16> live_temporaries;

void remember(const std::string& path) {
  for (auto& slot : live_temporaries) {
    if (slot.used.load() || path.size() + 1 > slot.path.size()) continue;
    std::memcpy(slot.path.data(), path.c_str(), path.size() + 1);
    slot.used.store(true);
    return;
  }
}

void forget(const std::string& path) {
  for (auto& slot : live_temporaries)
    if (slot.used.load() && path == slot.path.data()) slot.used.store(false);
}

/// openat2 that resolves beneath `directory` and follows no symbolic link; on kernels without it, component by
/// component with O_NOFOLLOW.
int open_without_links(int directory, const std::string& relative) {
  struct open_how how {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const long fd = syscall(SYS_openat2, directory, relative.c_str(), &how, sizeof how);
  if (fd >= 0 || errno != ENOSYS) return static_cast<int>(fd);
  int at = dup(directory);
  for (const auto& part : std::filesystem::path(relative)) {
    if (at < 0) return at;
    const int next = openat(at, part.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    const int error = errno;
    close(at);
    errno = error;
    at = next;
  }
  return at;
}

}  // namespace

namespace {

/// The files that are mapped now: first byte and size.
struct Mappings {
  std::mutex mutex;
  std::map<const std::byte*, size_t> sizes;
};
Mappings& all_mappings() {
  static Mappings mappings;
  return mappings;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::map(int fd, const std::filesystem::path& path, bool allow_empty) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->fd_ = fd;
  struct stat s {};
  if (fstat(fd, &s) != 0) fail_io(path.string(), "cannot be examined: " + reason());
  if (S_ISDIR(s.st_mode)) fail_io(path.string(), "is a directory, a file was expected");
  if (!S_ISREG(s.st_mode)) fail_io(path.string(), "is not a regular file");
  file->size_ = static_cast<size_t>(s.st_size);
  file->mtime_ns_ = mtime_of(s);
  if (file->size_ == 0) {
    if (!allow_empty) fail_malformed(path.string(), "the file is empty");
    return file;
  }
  void* address = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) {
    file->size_ = 0;
    fail_io(path.string(), "cannot be mapped: " + reason());
  }
  file->data_ = static_cast<const std::byte*>(address);
  Mappings& mappings = all_mappings();
  const std::lock_guard lock(mappings.mutex);
  mappings.sizes[file->data_] = file->size_;
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path, bool allow_empty) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail_io(printable(path.string(), 400), "cannot be opened: " + reason());
  return map(fd, path, allow_empty);
}

std::shared_ptr<const MappedFile> MappedFile::open_beneath(const std::filesystem::path& base_directory,
                                                           const std::string& relative, const std::string& place) {
  const std::filesystem::path path(relative);
  bool unsafe = relative.empty() || relative.size() > 1024 || path.is_absolute() ||
                relative.find('\0') != std::string::npos || relative.find('\\') != std::string::npos ||
                relative.find(':') != std::string::npos;
  for (const auto& part : path) unsafe = unsafe || part == "..";
  if (unsafe)
    fail_malformed(place,
                   "names the file " + in_quotes(relative) + ", which is not a plain path below its own directory");
  const std::filesystem::path directory = base_directory.empty() ? "." : base_directory;
  const int at = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) fail_io(directory.string(), "cannot be opened: " + reason());
  const int fd = open_without_links(at, relative);
  const int error = errno;
  close(at);
  if (fd < 0) {
    if (error == ELOOP || error == EXDEV)
      fail_malformed(place, "names the file " + in_quotes(relative) + ", which leads through a symbolic link");
    fail_io(place, "names the file " + in_quotes(relative) + ", which cannot be opened: " + std::strerror(error));
  }
  struct stat s {};
  if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_nlink > 1) {
    close(fd);
    fail_malformed(place, "names the file " + in_quotes(relative) + ", which has more than one hard link",
                   "copy the file if this is meant");
  }
  return map(fd, directory / path, true);
}

MappedFile::~MappedFile() {
  if (data_) {
    Mappings& mappings = all_mappings();
    const std::lock_guard lock(mappings.mutex);
    mappings.sizes.erase(data_);
  }
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) close(fd_);
}

void forget_pages(Bytes part) noexcept {
  Mappings& mappings = all_mappings();
  const std::lock_guard lock(mappings.mutex);  // also keeps the mapping alive
  auto it = mappings.sizes.upper_bound(part.data());
  if (it == mappings.sizes.begin()) return;
  --it;
  if (part.data() + part.size() > it->first + it->second) return;
  // Only whole pages inside `part`: what shares a page with it may be in use.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::check_unchanged() const {
  struct stat s {};
  if (fstat(fd_, &s) != 0 || static_cast<size_t>(s.st_size) != size_ || mtime_of(s) != mtime_ns_)
    fail_io(path_.string(), "changed while it was being read", "run again when nothing writes to it");
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  struct stat x {
  }, y{};
  return stat(a.c_str(), &x) == 0 && stat(b.c_str(), &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

AtomicFile::AtomicFile(std::filesystem::path path, bool force, std::span<const std::filesystem::path> inputs,
                       uint64_t predicted_bytes)
    : path_(std::move(path)) {
  const std::string place = printable(path_.string(), 400);
  const std::filesystem::path directory = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  if (path_.filename().empty()) fail_usage(place, "is a directory, the output must be a file");
  for (const auto& input : inputs)
    if (same_file(path_, input))
      fail_usage(place, "the output is the same file as the input " + in_quotes(input.string()), "choose another name");
  struct stat s {};
  if (lstat(path_.c_str(), &s) == 0) {
    if (S_ISDIR(s.st_mode)) fail_usage(place, "is a directory, the output must be a file");
    if (!force) fail_usage(place, "the output exists", "--force replaces it");
  }
  struct statvfs space {};
  if (statvfs(directory.c_str(), &space) != 0)
    fail_io(place, "the directory " + in_quotes(directory.string()) + " cannot be written to: " + reason());
  const uint64_t free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  const uint64_t needed = predicted_bytes + predicted_bytes / 100;
  if (needed > free_bytes)
    fail_io(place, "needs " + std::to_string(needed) + " bytes, the disk has " + std::to_string(free_bytes) + " free");

  std::random_device entropy;
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    char suffix[9];
    std::snprintf(suffix, sizeof suffix, "%08x", entropy());
    temporary_ = directory / ("." + path_.filename().string() + ".nibble-tmp." + suffix);
    fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) fail_io(place, "cannot be created: " + reason());
  remember(temporary_.string());
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!committed_) unlink(temporary_.c_str());
  forget(temporary_.string());
}

void AtomicFile::write(Bytes bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      fail_io(path_.string(),
              "cannot be written: " + reason() + ", with " + std::to_string(bytes.size()) + " bytes still to write");
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFile::flush() {
  if (fsync(fd_) != 0) fail_io(path_.string(), "cannot be written to the disk: " + reason());
}

void AtomicFile::commit() {
  flush();
  const int fd = fd_;
  fd_ = -1;
  if (close(fd) != 0) fail_io(path_.string(), "cannot be written to the disk: " + reason());
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail_io(path_.string(), "cannot be put in place: " + reason());
  committed_ = true;
  const std::filesystem::path directory = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const int at = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at >= 0) {
    fsync(at);
    close(at);
  }
}

void remove_temporary_files() noexcept {
  for (auto& slot : live_temporaries)
    if (slot.used.load()) unlink(slot.path.data());
}

}  // namespace nibble::base
