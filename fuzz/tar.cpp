// Tar archives, plain and compressed: entries are sorted and lie in memory that is there.
#include "io/tar/tar.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const base::Bytes bytes = fuzz::as_bytes(data, size);
  base::Limits limits;
  limits.zip_bytes = 1 << 22;
  fuzz::only_errors([&] {
    io::is_tar(bytes);
    const io::TarFile tar(bytes, nullptr, "x.tar", limits);
    unsigned sum = 0;
    for (size_t i = 0; i < tar.entries().size(); ++i) {
      if (i > 0) fuzz::require(tar.entries()[i - 1].name < tar.entries()[i].name);
      for (const std::byte b : tar.entries()[i].bytes) sum += static_cast<unsigned>(b);
    }
    volatile unsigned read = sum;
    (void)read;
  });
  return 0;
}
