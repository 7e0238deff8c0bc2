#include "io/zip/zip.h"

#include <zip.h>

#include <algorithm>
#include <mutex>

#include "base/checked.h"
#include "base/error.h"

namespace nibble::io {
namespace {

/// Below this an entry may expand as it likes.
constexpr int64_t kHarmlessBytes = 1 << 20;
constexpr size_t kChunkBytes = 1 << 20;

std::string text_of(zip_error_t* error) { return base::printable(zip_error_strerror(error)); }

}  // namespace

struct ZipFile::Archive {
  zip_t* zip = nullptr;
  std::shared_ptr<const void> owner;
  std::vector<uint64_t> at;  ///< libzip's index of each of our entries
  mutable std::mutex mutex;

  ~Archive() {
    if (zip) zip_discard(zip);
  }

  void open(base::Bytes bytes, const std::string& place) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (!source) base::fail_limit(place, "cannot be opened: " + text_of(&error));
    zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (zip) return;
    const std::string said = text_of(&error);
    const int code = zip_error_code_zip(&error);
    zip_source_free(source);
    zip_error_fini(&error);
    if (code == ZIP_ER_MULTIDISK) base::fail_unsupported(place, "is one part of a zip file in several parts");
    base::fail_malformed(place, "is no sound zip file: " + said, "copy or download it again");
  }
};

bool is_zip(base::Bytes bytes) {
  const std::string_view start = base::as_text(bytes.first(std::min<size_t>(bytes.size(), 4)));
  return start == std::string_view("PK\3\4", 4) || start == std::string_view("PK\5\6", 4);
}

ZipFile::ZipFile(base::Bytes bytes, std::shared_ptr<const void> owner, std::string place, const base::Limits& limits)
    : place_(std::move(place)), archive_(std::make_unique<Archive>()) {
  // libzip takes no bytes at all for an empty archive, and looks for the directory of one that begins with something
  // else.
  if (!is_zip(bytes)) base::fail_malformed(place_, "is no zip file: it does not begin with PK");
  archive_->owner = std::move(owner);
  archive_->open(bytes, place_);
  const int64_t count = zip_get_num_entries(archive_->zip, 0);
  base::check_limit(count, limits.zip_entries, "zip-entries", place_, "its number of entries");

  struct Row {
    ZipEntry entry;
    uint64_t at;
  };
  std::vector<Row> rows;
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<uint64_t>(i);
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive_->zip, at, ZIP_FL_ENC_GUESS, &stat) != 0 || (stat.valid & kNeeded) != kNeeded)
      base::fail_malformed(place_, "entry " + std::to_string(i) + " has no sound header");
    const std::string name = stat.name;  // libzip gives UTF-8, whatever the file has
    base::check_limit(static_cast<int64_t>(name.size()), limits.name_bytes, "name-bytes", place_,
                      "the length of an entry's name");
    const std::string entry_place = place_ + ": " + base::in_quotes(name);
    if (!name.empty() && name.back() == '/') continue;
    if (stat.size > static_cast<uint64_t>(INT64_MAX) || stat.comp_size > bytes.size())
      base::fail_malformed(entry_place, "its sizes do not fit the file");
    const auto size = static_cast<int64_t>(stat.size), compressed = static_cast<int64_t>(stat.comp_size);
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
      base::fail_unsupported(
          entry_place,
          "is compressed by method " + std::to_string(stat.comp_method) + "; nibble reads stored and deflated entries",
          "zip it again with either");
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
      base::fail_unsupported(entry_place, "is encrypted", "zip it again without a password");
    const auto sum = base::checked_add(total, size);
    if (!sum) base::fail_malformed(entry_place, "its sizes do not fit the file");
    total = *sum;
    base::check_limit(total, limits.zip_bytes, "zip-bytes", place_, "the expanded size of its entries");
    if (stat.comp_method == ZIP_CM_STORE && size != compressed)
      base::fail_malformed(entry_place, "is stored, but its two sizes differ");
    if (size > kHarmlessBytes)
      base::check_limit((size - 1) / std::max<int64_t>(compressed, 1) + 1, limits.zip_ratio, "zip-ratio", entry_place,
                        "its expanded over compressed size");
    rows.push_back({{name, size}, at});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.entry.name < b.entry.name; });
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && rows[i].entry.name == rows[i - 1].entry.name)
      base::fail_malformed(place_ + ": " + base::in_quotes(rows[i].entry.name), "two entries have this name");
    entries_.push_back(std::move(rows[i].entry));
    archive_->at.push_back(rows[i].at);
  }
}

ZipFile::~ZipFile() = default;

std::optional<size_t> ZipFile::find(std::string_view name) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const ZipEntry& e, std::string_view n) { return e.name < n; });
  if (at == entries_.end() || at->name != name) return std::nullopt;
  return static_cast<size_t>(at - entries_.begin());
}

std::string ZipFile::place_of(size_t index) const { return place_ + ": " + base::printable(entries_.at(index).name); }

std::vector<std::byte> ZipFile::read(size_t index) const {
  const ZipEntry& entry = entries_.at(index);
  const std::lock_guard lock(archive_->mutex);
  struct Close {
    void operator()(zip_file_t* f) const { zip_fclose(f); }
  };
  const std::unique_ptr<zip_file_t, Close> file(zip_fopen_index(archive_->zip, archive_->at[index], 0));
  if (!file) base::fail_malformed(place_of(index), "cannot be read: " + text_of(zip_get_error(archive_->zip)));
  // Grown as bytes really arrive; one more than announced is asked for, so that the end (and with it the check of the
  // CRC) is reached and an entry that is too long is noticed.
  std::vector<std::byte> bytes;
  const auto size = static_cast<size_t>(entry.size);
  while (true) {
    const size_t have = bytes.size(), want = std::min(size + 1 - have, kChunkBytes);
    bytes.resize(have + want);
    const int64_t got = zip_fread(file.get(), bytes.data() + have, want);
    if (got < 0)
      base::fail_malformed(place_of(index), "is damaged: " + text_of(zip_file_get_error(file.get())),
                           "copy or download the file again");
    bytes.resize(have + static_cast<size_t>(got));
    if (got == 0) break;
    if (bytes.size() > size) base::fail_malformed(place_of(index), "expands to more bytes than announced");
  }
  if (bytes.size() != size)
    base::fail_malformed(place_of(index), "expands to " + std::to_string(bytes.size()) + " bytes, " +
                                              std::to_string(size) + " were announced");
  return bytes;
}

}  // namespace nibble::io
