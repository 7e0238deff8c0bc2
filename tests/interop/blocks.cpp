// blocks decode|encode FORMAT                      whole blocks of standard input to float32 values on standard output,
//                                                  or values to blocks by the format's plain encoder
// blocks best|reference FORMAT COLUMNS [WEIGHTS] [SECONDS THREADS]
//                                                  rows of values to blocks by fit::quantize_blocks; WEIGHTS is a file
//                                                  of one float32 a column, or "-"; with SECONDS it is done again and
//                                                  again for that long, and the median time in seconds goes to standard
//                                                  error
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "codec/blocks.h"
#include "fit/blocks/quantize_blocks.h"

namespace {

using nibble::codec::BlockFormat;

std::vector<uint8_t> standard_input() {
  std::vector<uint8_t> bytes;
  uint8_t part[65536];
  while (const size_t count = std::fread(part, 1, sizeof part, stdin)) bytes.insert(bytes.end(), part, part + count);
  return bytes;
}

template <typename T>
std::vector<T> values_of(const std::vector<uint8_t>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

template <typename T>
void print(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

int quantize(const BlockFormat& format, nibble::fit::BlockSearch search, const std::vector<std::string>& arguments) {
  const std::vector<float> x = values_of<float>(standard_input());
  const int64_t columns = std::stoll(arguments.at(0));
  std::vector<float> weights;
  if (arguments.size() > 1 && arguments[1] != "-") {
    std::ifstream file(arguments[1], std::ios::binary);
    weights = values_of<float>({std::istreambuf_iterator<char>(file), {}});
  }
  const double seconds = arguments.size() > 2 ? std::stod(arguments[2]) : 0.0;
  nibble::base::ThreadPool pool(arguments.size() > 3 ? std::stoi(arguments[3]) : 0);
  const auto rows = static_cast<int64_t>(x.size()) / columns;
  std::vector<uint8_t> bytes(x.size() / static_cast<size_t>(format.elements) * static_cast<size_t>(format.bytes));
  std::vector<double> elapsed, used;
  double spent = 0.0;
  do {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t processor = std::clock();
    nibble::fit::quantize_blocks(format.dtype, search, {x.data(), rows, columns, columns, 1}, weights, pool, bytes);
    used.push_back(static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC);
    elapsed.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    spent += elapsed.back();
  } while (spent < seconds);
  std::sort(elapsed.begin(), elapsed.end());
  std::sort(used.begin(), used.end());
  if (seconds > 0.0) std::fprintf(stderr, "%.9f %.9f\n", elapsed[elapsed.size() / 2], used[used.size() / 2]);
  print(bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> arguments(argv + std::min(argc, 3), argv + argc);
  const std::string verb = argc > 1 ? argv[1] : "";
  const BlockFormat* format = argc > 2 ? nibble::codec::find_block_format(argv[2]) : nullptr;
  const auto search = nibble::fit::find_block_search(verb);
  if (format && search && !arguments.empty()) return quantize(*format, *search, arguments);
  if (!format || (verb != "decode" && verb != "encode")) {
    std::fputs("usage: blocks decode|encode FORMAT, blocks best|reference FORMAT COLUMNS [WEIGHTS] [SECONDS THREADS]\n",
               stderr);
    return 2;
  }
  const std::vector<uint8_t> in = standard_input();
  const auto elements = static_cast<size_t>(format->elements), size = static_cast<size_t>(format->bytes);
  const size_t blocks = in.size() / (verb == "decode" ? size : elements * sizeof(float));
  if (verb == "decode") {
    std::vector<float> values(blocks * elements);
    format->decode(in.data(), static_cast<int64_t>(blocks), values.data());
    print(values);
  } else {
    std::vector<uint8_t> bytes(blocks * size);
    format->encode(values_of<float>(in).data(), static_cast<int64_t>(blocks), bytes.data());
    print(bytes);
  }
  return 0;
} catch (const nibble::base::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
