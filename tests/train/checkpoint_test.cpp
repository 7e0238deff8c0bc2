#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "io/hf/safetensors.h"

namespace nibble::train {
namespace {

using base::ErrorKind;
using tensor::Tensor;
using test::expect_error;
using test::TemporaryFolder;

Checkpoint some() {
  Checkpoint c;
  c.json = io::Json::Object{{"epoch", 3}, {"loss", 0.1}, {"text", "\"\n"}};
  c.tensors = {{"student.weight.0.masters", Tensor::of<float>({3}, std::vector<float>{1.5f, -0.0f, 1e-40f})},
               {"student.frozen", Tensor::of<int8_t>({2}, std::vector<int8_t>{-128, 127})},
               {"optimizer.0.step", Tensor::scalar<int64_t>(7)},
               {"optimizer.1.mean", Tensor(tensor::DType::f32, {0})}};
  return c;
}

std::string bytes_of(const std::filesystem::path& path) {
  const auto file = base::MappedFile::open(path);
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

TEST(Checkpoint, HoldsWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.checkpoint";
  const Checkpoint c = some();
  write_checkpoint(path, c);
  const Checkpoint back = read_checkpoint(path, {});
  EXPECT_EQ(back.json, c.json);
  ASSERT_EQ(back.tensors.size(), c.tensors.size());
  for (const auto& t : c.tensors) {
    const auto found = with_prefix(back.tensors, t.name);
    ASSERT_EQ(found.size(), 1u) << t.name;
    EXPECT_EQ(found[0].tensor.dtype(), t.tensor.dtype());
    EXPECT_EQ(found[0].tensor.shape(), t.tensor.shape());
    EXPECT_TRUE(std::ranges::equal(found[0].tensor.bytes(), t.tensor.bytes())) << t.name;
  }
}

TEST(Checkpoint, ReplacesTheOneBeforeAndIsTheSameBytesAgain) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.checkpoint", "something else");
  write_checkpoint(path, some());
  const std::string first = bytes_of(path);
  write_checkpoint(path, some());
  EXPECT_EQ(bytes_of(path), first);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Checkpoint, CutOffIsRefused) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.checkpoint";
  write_checkpoint(path, some());
  const std::string whole = bytes_of(path);
  for (size_t n = 0; n < whole.size(); ++n)
    expect_error(ErrorKind::kMalformed, "cut", [&] { read_checkpoint(folder.write("cut", whole.substr(0, n)), {}); });
  expect_error(ErrorKind::kMalformed, "longer", [&] { read_checkpoint(folder.write("longer", whole + "x"), {}); });
}

// Every byte of the header and of the JSON text: an Error or a Checkpoint, nothing else.
TEST(Checkpoint, ChangedBytesAreAnErrorOrAnotherCheckpoint) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.checkpoint";
  write_checkpoint(path, some());
  const std::string whole = bytes_of(path);
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string other = whole;
    other[i] = static_cast<char>(other[i] ^ 0x15);
    try {
      read_checkpoint(folder.write("changed", other), {});
    } catch (const base::Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::kInternal) << "byte " << i << ": " << e.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(Checkpoint, OtherFilesAreRefused) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, "none.checkpoint", [&] { read_checkpoint(folder.path() / "none.checkpoint", {}); });
  expect_error(ErrorKind::kMalformed, "text",
               [&] { read_checkpoint(folder.write("text", "no checkpoint at all"), {}); });
  const auto write = [&](const std::vector<io::NamedTensor>& tensors) {
    std::string bytes;
    io::hf::write_safetensors(
        tensors, [&](base::Bytes part) { bytes.append(reinterpret_cast<const char*>(part.data()), part.size()); });
    return folder.write("weights", bytes);
  };
  const std::vector<float> one{1};
  expect_error(ErrorKind::kMalformed, "is no checkpoint of a training: it has no tensor \"nibble.training\"", [&] {
    read_checkpoint(write({{"w", Tensor::of<float>({1}, one)}}), {});
  });
  expect_error(ErrorKind::kMalformed, "is no checkpoint of a training", [&] {
    read_checkpoint(write({{"nibble.training", Tensor::of<float>({1}, one)}}), {});
  });
  const std::vector<uint8_t> text{'{', '1'};
  expect_error(ErrorKind::kMalformed, "weights", [&] {
    read_checkpoint(write({{"nibble.training", Tensor::of<uint8_t>({2}, text)}}), {});
  });
}

TEST(Checkpoint, NothingIsLeftWhereNothingCanBeWritten) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, "missing", [&] { write_checkpoint(folder.path() / "missing" / "a", some()); });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Checkpoint, CopiesAreDeep) {
  Checkpoint c = some();
  std::vector<io::NamedTensor> copies;
  add_copies(copies, c.tensors, "best.");
  c.tensors[0].tensor.mutable_values<float>()[0] = 9;
  EXPECT_EQ(copies[0].name, "best.student.weight.0.masters");
  EXPECT_EQ(copies[0].tensor.values<float>()[0], 1.5f);
  EXPECT_EQ(with_prefix(copies, "best.optimizer.").size(), 2u);
  EXPECT_EQ(with_prefix(copies, "best.optimizer.")[0].name, "0.step");
}

}  // namespace
}  // namespace nibble::train
