#include "data/source.h"

#include "base/error.h"
#include "base/file.h"
#include "io/cifar/cifar.h"
#include "io/idx/idx.h"
#include "io/npy/npy.h"
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

}  // namespace

std::unique_ptr<Source> open_source(const std::filesystem::path& path, const std::string& input_name,
                                    const base::Limits& limits) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_image_folder(path, limits);
  const auto file = base::MappedFile::open(path);
  const base::Bytes bytes = file->bytes();
  if (io::is_zip(bytes)) {
    const io::ZipFile zip(bytes, file, path.string(), limits);
    return holds_arrays(zip) ? open_npz(path, input_name, limits) : open_image_zip(path, limits);
  }
  if (io::is_npy(bytes)) return open_npy(path, limits);
  if (io::is_image(bytes) || io::has_image_extension(path.string())) return open_image_file(path, limits);
  // A CIFAR file has no magic, and its first pixels may look like an idx header; but it is always called *.bin.
  const bool may_be_cifar = io::CifarFile::fits(bytes.size());
  if (may_be_cifar && path.extension() == ".bin") return open_cifar(path);
  if (io::is_gzip(bytes) || io::is_idx(bytes)) return open_idx(path, limits);
  if (may_be_cifar) return open_cifar(path);
  base::fail_unsupported(path.string(), "is no data that nibble knows",
                         "it reads folders and zip files of JPEG or PNG images, single images, .npy, .npz, MNIST idx "
                         "(also .gz) and CIFAR binary");
}

}  // namespace nibble::data
