// .npy, and .npz through it: what is read can be written and read again.
#include <string>

#include "fuzz/only_errors.h"
#include "io/npy/npy.h"
#include "io/zip/zip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const base::Bytes bytes = fuzz::as_bytes(data, size);
  base::Limits limits;
  limits.zip_bytes = 1 << 22;
  fuzz::only_errors([&] {
    if (io::is_zip(bytes)) {
      io::read_npz(bytes, "x.npz", limits);
      return;
    }
    const tensor::Tensor array = io::read_npy(bytes, nullptr, "x.npy", limits);
    const std::string written = io::npy_file(array);
    const tensor::Tensor again = io::read_npy(base::as_bytes(written), nullptr, "y.npy", limits);
    fuzz::require(again.shape() == array.shape() && again.dtype() == array.dtype());
    fuzz::require(base::as_text(again.bytes()) == base::as_text(array.bytes()));
  });
  return 0;
}
