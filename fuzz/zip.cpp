// Zip archives: entries are sorted, and each one expands to what it announced or is refused. Then gzip.
#include "io/zip/zip.h"
#include "fuzz/only_errors.h"
#include "io/zip/gunzip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const base::Bytes bytes = fuzz::as_bytes(data, size);
  base::Limits limits;
  limits.zip_bytes = 1 << 22;
  if (io::is_gzip(bytes)) {
    fuzz::only_errors([&] { io::gunzip(bytes, "x.gz", limits); });
    return 0;
  }
  fuzz::only_errors([&] {
    const io::ZipFile zip(bytes, nullptr, "x.zip", limits);
    for (size_t i = 0; i < zip.entries().size(); ++i) {
      if (i > 0) fuzz::require(zip.entries()[i - 1].name < zip.entries()[i].name);
      fuzz::require(zip.find(zip.entries()[i].name) == i);
      fuzz::only_errors([&] { fuzz::require(static_cast<int64_t>(zip.read(i).size()) == zip.entries()[i].size); });
    }
  });
  return 0;
}
