// blocks decode|encode FORMAT: whole blocks of standard input to float32 values on standard output, or values to blocks
// by the format's plain encoder.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/blocks.h"

namespace {

std::vector<uint8_t> standard_input() {
  std::vector<uint8_t> bytes;
  uint8_t part[65536];
  while (const size_t count = std::fread(part, 1, sizeof part, stdin)) bytes.insert(bytes.end(), part, part + count);
  return bytes;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string verb = argc > 1 ? argv[1] : "";
  const auto* format = argc > 2 ? nibble::codec::find_block_format(argv[2]) : nullptr;
  if (!format || (verb != "decode" && verb != "encode")) {
    std::fputs("usage: blocks decode|encode FORMAT\n", stderr);
    return 2;
  }
  const std::vector<uint8_t> in = standard_input();
  const size_t value_bytes = static_cast<size_t>(format->elements) * sizeof(float);
  const size_t blocks = in.size() / (verb == "decode" ? static_cast<size_t>(format->bytes) : value_bytes);
  std::vector<float> values(blocks * static_cast<size_t>(format->elements));
  std::vector<uint8_t> bytes(blocks * static_cast<size_t>(format->bytes));
  if (verb == "decode") {
    format->decode(in.data(), static_cast<int64_t>(blocks), values.data());
    std::fwrite(values.data(), value_bytes, blocks, stdout);
  } else {
    std::memcpy(values.data(), in.data(), blocks * value_bytes);
    format->encode(values.data(), static_cast<int64_t>(blocks), bytes.data());
    std::fwrite(bytes.data(), static_cast<size_t>(format->bytes), blocks, stdout);
  }
  return 0;
} catch (const nibble::base::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
