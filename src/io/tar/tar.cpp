#include "io/tar/tar.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <functional>

#include "base/checked.h"
#include "base/error.h"

namespace nibble::io {
namespace {

/// Below this an archive may expand as it likes.
constexpr int64_t kHarmlessBytes = 1 << 20;
constexpr size_t kBlockBytes = 512;

struct Close {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, Close>;

Archive open(base::Bytes bytes) {
  Archive a(archive_read_new());
  if (!a) base::fail_limit("", "no memory for an archive reader");
  // All are built into Debian's library. Where one is not, libarchive answers with a warning and would start a program
  // of that name.
  for (const auto support : {archive_read_support_filter_gzip, archive_read_support_filter_xz,
                             archive_read_support_filter_bzip2, archive_read_support_filter_zstd})
    if (support(a.get()) != ARCHIVE_OK)
      base::fail_unsupported("", "this build's libarchive lacks gzip, xz, bzip2 or zstd");
  if (archive_read_support_format_tar(a.get()) != ARCHIVE_OK ||
      archive_read_open_memory(a.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
    return nullptr;
  return a;
}

std::string text_of(archive* a) {
  const char* text = archive_error_string(a);
  return text ? base::printable(text) : "no reason is given";
}

/// A warning is about what does not matter here (a name in another encoding); "retry" means that this entry is damaged.
bool is_sound(int status) { return status == ARCHIVE_OK || status == ARCHIVE_WARN; }

std::string name_of(archive_entry* entry) {
  // The UTF-8 form is absent where the bytes are in no encoding that libarchive knows; then the bytes are the name.
  const char* name = archive_entry_pathname_utf8(entry);
  if (!name) name = archive_entry_pathname(entry);
  std::string text = name ? name : "";
  while (text.starts_with("./")) text.erase(0, text.find_first_not_of('/', 1));
  return text;
}

bool has_magic(base::Bytes bytes, std::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() && base::as_text(bytes.subspan(at, magic.size())) == magic;
}

bool is_compressed(base::Bytes bytes) {
  return has_magic(bytes, "\x1F\x8B") ||
         has_magic(bytes, std::string_view("\xFD"
                                           "7zXZ\0",
                                           6)) ||
         has_magic(bytes, "BZh") || has_magic(bytes, "\x28\xB5\x2F\xFD");
}

}  // namespace

bool is_tar(base::Bytes bytes) {
  if (!is_compressed(bytes)) return has_magic(bytes, "ustar", 257);
  const Archive a = open(bytes);
  archive_entry* entry = nullptr;
  return a && is_sound(archive_read_next_header(a.get(), &entry)) &&
         (archive_format(a.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
}

TarFile::TarFile(base::Bytes bytes, std::shared_ptr<const void> owner, std::string place, const base::Limits& limits)
    : place_(std::move(place)), owner_(std::move(owner)) {
  const Archive a = open(bytes);
  if (!a) base::fail_malformed(place_, "is no tar archive that can be read");
  const auto in_file = [&](const void* data, size_t size) {
    const auto* p = static_cast<const std::byte*>(data);
    return std::less_equal<>()(bytes.data(), p) && std::less_equal<>()(p + size, bytes.data() + bytes.size());
  };
  int64_t count = 0, total = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(a.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (!is_sound(status))
      base::fail_malformed(place_, "is no sound tar archive: " + text_of(a.get()), "copy or download it again");
    base::check_limit(++count, limits.zip_entries, "zip-entries", place_, "its number of entries");
    const std::string name = name_of(entry);
    base::check_limit(static_cast<int64_t>(name.size()), limits.name_bytes, "name-bytes", place_,
                      "the length of an entry's name");
    const std::string where = place_ + ": " + base::in_quotes(name);
    if (archive_entry_hardlink(entry))
      base::fail_unsupported(where, "is a hard link to another entry", "pack the files themselves");
    if (archive_entry_filetype(entry) != AE_IFREG) {
      left_out_ += archive_entry_filetype(entry) != AE_IFDIR;
      continue;
    }
    if (archive_entry_sparse_reset(entry) > 0)
      base::fail_unsupported(where, "is stored sparse, with holes", "pack it without --sparse");
    // Bytes are taken as they arrive, whatever size the header announces: a view while they lie in the file itself, one
    // behind the other, and a copy from then on.
    base::Bytes view;
    std::shared_ptr<std::vector<std::byte>> copy;
    int64_t size = 0;
    while (true) {
      const void* data = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int got = archive_read_data_block(a.get(), &data, &length, &offset);
      if (got == ARCHIVE_EOF) break;
      if (!is_sound(got))
        base::fail_malformed(where, "is damaged: " + text_of(a.get()), "copy or download the archive again");
      if (length == 0) continue;
      if (offset != size) base::fail_unsupported(where, "is stored sparse, with holes", "pack it without --sparse");
      size += static_cast<int64_t>(length);
      const auto sum = base::checked_add(total, static_cast<int64_t>(length));
      if (!sum) base::fail_malformed(where, "its sizes do not fit the file");
      total = *sum;
      base::check_limit(total, limits.zip_bytes, "zip-bytes", place_, "the expanded size of its entries");
      if (total > kHarmlessBytes)
        base::check_limit((total - 1) / static_cast<int64_t>(std::max<size_t>(bytes.size(), 1)) + 1, limits.zip_ratio,
                          "zip-ratio", place_, "its expanded over compressed size");
      const base::Bytes block(static_cast<const std::byte*>(data), length);
      if (!copy && in_file(data, length) && (view.empty() || view.data() + view.size() == block.data())) {
        view = base::Bytes(view.empty() ? block.data() : view.data(), view.size() + length);
        continue;
      }
      if (!copy) copy = std::make_shared<std::vector<std::byte>>(view.begin(), view.end());
      copy->insert(copy->end(), block.begin(), block.end());
    }
    if (size != archive_entry_size(entry))
      base::fail_malformed(where, "holds " + std::to_string(size) + " bytes, " +
                                      std::to_string(archive_entry_size(entry)) + " were announced");
    if (copy) {
      view = *copy;
      expanded_.push_back(std::move(copy));
    }
    entries_.push_back({name, view});
  }
  if (archive_filter_count(a.get()) <= 1 && bytes.size() % kBlockBytes != 0)
    base::fail_malformed(place_, "is truncated: a tar archive consists of whole blocks of 512 bytes");
  std::sort(entries_.begin(), entries_.end(), [](const TarEntry& x, const TarEntry& y) { return x.name < y.name; });
  for (size_t i = 1; i < entries_.size(); ++i)
    if (entries_[i].name == entries_[i - 1].name)
      base::fail_malformed(place_ + ": " + base::in_quotes(entries_[i].name), "two entries have this name");
}

std::string TarFile::place_of(size_t index) const { return place_ + ": " + base::printable(entries_.at(index).name); }

}  // namespace nibble::io
