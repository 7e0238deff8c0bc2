#include "io/npy/npy.h"

#include <cmath>

#include "base/small_float.h"
#include "data/expected_files.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::expect_error;
using test::expected_array;

double element(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::f32:
      return t.values<float>()[i];
    case DType::f64:
      return t.values<double>()[i];
    case DType::f16:
      return base::f16_to_f32(t.values<uint16_t>()[i]);
    case DType::i8:
      return t.values<int8_t>()[i];
    case DType::u8:
      return t.values<uint8_t>()[i];
    case DType::i16:
      return t.values<int16_t>()[i];
    case DType::u16:
      return t.values<uint16_t>()[i];
    case DType::i32:
      return t.values<int32_t>()[i];
    case DType::u32:
      return t.values<uint32_t>()[i];
    case DType::i64:
      return static_cast<double>(t.values<int64_t>()[i]);
    case DType::u64:
      return static_cast<double>(t.values<uint64_t>()[i]);
    default:
      return std::nan("");
  }
}

TEST(ReadNpy, ReadsEveryNumericType) {
  const std::pair<const char*, DType> rows[] = {{"f4", DType::f32}, {"f8", DType::f64}, {"f2", DType::f16},
                                                {"i1", DType::i8},  {"u1", DType::u8},  {"i2", DType::i16},
                                                {"u2", DType::u16}, {"i4", DType::i32}, {"u4", DType::u32},
                                                {"i8", DType::i64}, {"u8", DType::u64}};
  for (const auto& [suffix, dtype] : rows) {
    const Tensor t = expected_array(std::string("array_") + suffix + ".npy");
    EXPECT_EQ(t.dtype(), dtype) << suffix;
    ASSERT_EQ(t.shape(), (Shape{2, 3, 4})) << suffix;
    for (size_t i = 0; i < 24; ++i) ASSERT_EQ(element(t, i), static_cast<double>(i)) << suffix;
  }
  const Tensor truth = expected_array("array_b1.npy");
  EXPECT_EQ(truth.dtype(), DType::boolean);
  EXPECT_EQ(truth.bytes()[0], std::byte{0});
  EXPECT_EQ(truth.bytes()[1], std::byte{1});
}

TEST(ReadNpy, ReadsAllVersionsScalarsAndFortranOrder) {
  for (const char* name : {"array_v2.npy", "array_v3.npy", "array_fortran.npy"}) {
    const Tensor t = expected_array(name);
    ASSERT_EQ(t.shape(), (Shape{2, 3, 4})) << name;
    for (size_t i = 0; i < 24; ++i) ASSERT_EQ(t.values<float>()[i], static_cast<float>(i)) << name;
  }
  const Tensor scalar = expected_array("array_scalar.npy");
  EXPECT_EQ(scalar.shape(), Shape{});
  EXPECT_EQ(scalar.values<float>()[0], 2.5f);
}

TEST(ReadNpy, RefusesWhatIsNoPlainNumberWithARecipe) {
  const auto refused = [](const char* name, const std::string& part) {
    expect_error(ErrorKind::kUnsupported, part, [&] { expected_array(name); });
  };
  refused("array_object.npy", "a pickle, which nibble never runs");
  refused("array_object.npy", "numpy.save(");
  refused("array_big_endian.npy", "big-endian");
  refused("array_structured.npy", "structured array");
  refused("array_text.npy", "<U3");
  refused("array_complex.npy", "<c8");
}

TEST(ReadNpy, RefusesEveryPrefixAndTrailingBytes) {
  for (const char* name : {"array_i2.npy", "array_v3.npy", "array_fortran.npy"}) {
    const auto file = test::expected_file(name);
    test::expect_prefixes_refused(file->bytes(), [](base::Bytes part) { read_npy(part, nullptr, "part", {}); });
    std::string longer(base::as_text(file->bytes()));
    longer += '\0';
    expect_error(ErrorKind::kMalformed, "follow the header",
                 [&] { read_npy(base::as_bytes(longer), nullptr, "longer", {}); });
  }
}

/// A version 1 file with this header text and these data bytes.
std::string file_with(const std::string& header, const std::string& data = {}) {
  std::string file("\x93NUMPY\1\0", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

Tensor read_text(const std::string& file, const base::Limits& limits = {}) {
  return read_npy(base::as_bytes(file), nullptr, "made.npy", limits);
}

TEST(ReadNpy, RefusesMalformedHeaders) {
  const std::string bad[] = {
      "",
      "{}",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
      "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
  };
  for (const std::string& header : bad)
    expect_error(ErrorKind::kMalformed, "header is malformed", [&] { read_text(file_with(header, "1234")); });
  EXPECT_EQ(read_text(file_with("{ 'shape':(1L ,) ,'fortran_order':False,\"descr\":\"<f4\"}\n", "1234")).shape(),
            Shape{1});
}

TEST(ReadNpy, ComparesTheShapeWithTheBytesBeforeAnythingElse) {
  const auto shaped = [](const std::string& shape) {
    return file_with("{'descr': '<f4', 'fortran_order': True, 'shape': " + shape + "}", "1234");
  };
  expect_error(ErrorKind::kMalformed, "exceeds", [&] { read_text(shaped("(4294967296, 4294967296)")); });
  expect_error(ErrorKind::kMalformed, "the file is truncated", [&] { read_text(shaped("(1073741824, 64)")); });
  expect_error(ErrorKind::kLimit, "--limit rank=", [&] { read_text(shaped("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)")); });
  const Tensor none = read_text(file_with("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 3)}"));
  EXPECT_EQ(none.shape(), (Shape{0, 3}));
  const std::string sizes = "(4294967296, 4294967296, 4294967296, 0)";
  EXPECT_EQ(read_text(file_with("{'descr': '<f4', 'fortran_order': True, 'shape': " + sizes + "}")).elements(), 0);
}

TEST(ReadNpy, RefusesOtherVersionsMagicsAndTruths) {
  std::string file = file_with("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "1234");
  file[6] = 4;
  expect_error(ErrorKind::kUnsupported, "version 4", [&] { read_text(file); });
  expect_error(ErrorKind::kMalformed, "is no .npy file", [&] { read_text("\x93NUMPX\1\0........"); });
  expect_error(ErrorKind::kMalformed, "neither 0 nor 1",
               [&] { read_text(file_with("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\2")); });
}

TEST(NpyFile, WritesWhatNumpyWrites) {
  for (const char* suffix : {"f4", "f8", "f2", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "b1"}) {
    const std::string name = std::string("array_") + suffix + ".npy";
    EXPECT_EQ(npy_file(expected_array(name)), base::as_text(test::expected_file(name)->bytes())) << name;
  }
  EXPECT_EQ(npy_file(expected_array("array_scalar.npy")),
            base::as_text(test::expected_file("array_scalar.npy")->bytes()));
  const float one[] = {1.0f, 2.0f};
  const Tensor vector = Tensor::of<float>({2}, one);
  EXPECT_EQ(read_text(npy_file(vector)).shape(), Shape{2});
  EXPECT_EQ(npy_header(vector).size() % 64, 0u);
}

TEST(NpyHeader, RefusesTypesThatNumpyHasNot) {
  expect_error(ErrorKind::kUnsupported, "NumPy has no type for", [] { npy_header(Tensor(DType::bf16, {2})); });
}

TEST(ReadNpz, ReadsStoredAndDeflatedArrays) {
  for (const char* name : {"two.npz", "two_deflated.npz"}) {
    const auto file = test::expected_file(name);
    const auto arrays = read_npz(file->bytes(), name, {});
    ASSERT_EQ(arrays.size(), 2u);
    EXPECT_EQ(arrays[0].first, "labels");
    EXPECT_EQ(arrays[0].second.values<int64_t>()[0], 3);
    EXPECT_EQ(arrays[1].first, "x");
    EXPECT_EQ(arrays[1].second.shape(), (Shape{2, 3, 4}));
    EXPECT_EQ(arrays[1].second.values<float>()[23], 23.0f);
    test::expect_prefixes_refused(file->bytes(), [](base::Bytes part) { read_npz(part, "part", {}); });
  }
}

}  // namespace
}  // namespace nibble::io
