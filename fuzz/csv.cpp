// Tables: every row is as wide as the first, and lines count up.
#include "io/csv/csv.h"
#include "fuzz/only_errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const std::string_view text = base::as_text(fuzz::as_bytes(data, size));
  fuzz::only_errors([&] {
    size_t width = 0;
    int64_t last = 0;
    io::read_csv(text, io::separator_of(text), "x.csv", {}, [&](int64_t line, const std::vector<std::string>& fields) {
      fuzz::require(line > last && !fields.empty() && (width == 0 || fields.size() == width));
      width = fields.size();
      last = line;
    });
  });
  return 0;
}
