#include "data/source.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "io/cifar/cifar.h"
#include "io/idx/idx.h"
#include "io/npy/npy.h"
#include "io/tar/tar.h"
#include "io/wav/wav.h"
#include "io/zip/gunzip.h"
#include "io/zip/zip.h"

namespace nibble::data {
namespace {

/// An .npz is a zip whose files all end in .npy.
bool holds_arrays(const io::ZipFile& zip) {
  for (const io::ZipEntry& entry : zip.entries())
    if (!entry.name.ends_with(".npy")) return false;
  return !zip.entries().empty();
}

/// What the files of a folder or archive are, by their names.
std::unique_ptr<Source> open_files(const std::filesystem::path& path, std::span<const Input> inputs,
                                   const SourceOptions& options, const base::Limits& limits) {
  auto members = open_members(path, limits);
  const auto is_run = [](const std::string& name) { return name.ends_with(".npz"); };
  if (std::any_of(members->names().begin(), members->names().end(), is_run))
    return open_runs(std::move(members), inputs, limits);
  if (holds_sound(*members)) return open_sounds(std::move(members), inputs, options.audio, limits);
  return open_images(std::move(members), limits);
}

bool is_table_name(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".csv" || extension == ".tsv" || extension == ".CSV" || extension == ".TSV";
}

}  // namespace

std::unique_ptr<Source> open_source(const std::filesystem::path& path, std::span<const Input> inputs,
                                    const SourceOptions& options, const base::Limits& limits) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_files(path, inputs, options, limits);
  const auto file = base::MappedFile::open(path);
  const base::Bytes bytes = file->bytes();
  if (io::is_zip(bytes)) {
    const io::ZipFile zip(bytes, file, path.string(), limits);
    return holds_arrays(zip) ? open_npz(path, inputs, limits) : open_files(path, inputs, options, limits);
  }
  if (io::is_npy(bytes)) return open_npy(path, inputs, limits);
  if (io::is_image(bytes) || io::has_image_extension(path.string())) return open_files(path, inputs, options, limits);
  if (io::is_wav(bytes)) return open_sounds(open_members(path, limits), inputs, options.audio, limits);
  if (is_table_name(path)) return open_table(path, inputs, options.label_column, limits);
  // A CIFAR file has no magic, and its first pixels may look like an idx header; but it is always called *.bin.
  const bool may_be_cifar = io::CifarFile::fits(bytes.size());
  if (may_be_cifar && path.extension() == ".bin") return open_cifar(path);
  if (io::is_tar(bytes)) return open_files(path, inputs, options, limits);
  if (io::is_gzip(bytes) || io::is_idx(bytes)) return open_idx(path, limits);
  if (may_be_cifar) return open_cifar(path);
  base::fail_unsupported(
      path.string(), "is no data that nibble knows",
      "it reads folders, zip and tar files of JPEG or PNG images, of .wav or of .npz, single images, .wav, .csv, .tsv, "
      ".npy, .npz, MNIST idx (also .gz) and CIFAR binary");
}

}  // namespace nibble::data
