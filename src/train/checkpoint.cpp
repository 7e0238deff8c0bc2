#include "train/checkpoint.h"

#include "base/error.h"
#include "base/file.h"
#include "io/hf/safetensors.h"
#include "train/copy.h"

namespace nibble::train {
namespace {

constexpr const char* kJsonTensor = "nibble.training";

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  const std::string text = io::to_text(checkpoint.json, 0);
  std::vector<io::NamedTensor> all = checkpoint.tensors;
  all.push_back(
      {kJsonTensor, tensor::Tensor::of<uint8_t>({static_cast<int64_t>(text.size())},
                                                {reinterpret_cast<const uint8_t*>(text.data()), text.size()})});
  uint64_t bytes = 0;
  for (const auto& t : all) bytes += t.tensor.bytes().size();
  base::AtomicFile file(path, true, {}, bytes);
  io::hf::write_safetensors(all, [&](base::Bytes part) { file.write(part); });
  file.commit();
}

Checkpoint read_checkpoint(const std::filesystem::path& path, const base::Limits& limits) {
  const std::string place = base::printable(path.string(), 400);
  const auto file = base::MappedFile::open(path);
  return parse_checkpoint(file->bytes(), file, place, limits);
}

Checkpoint parse_checkpoint(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                            const base::Limits& limits) {
  Checkpoint c;
  c.tensors = io::hf::read_safetensors(bytes, std::move(owner), place, limits);
  for (auto it = c.tensors.begin(); it != c.tensors.end(); ++it) {
    if (it->name != kJsonTensor || it->tensor.dtype() != tensor::DType::u8) continue;
    const auto text = it->tensor.values<uint8_t>();
    c.json = io::parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, place, limits);
    c.tensors.erase(it);
    return c;
  }
  base::fail_malformed(place, "is no checkpoint of a training: it has no tensor " + base::in_quotes(kJsonTensor));
}

std::vector<io::NamedTensor> with_prefix(const std::vector<io::NamedTensor>& tensors, const std::string& prefix) {
  std::vector<io::NamedTensor> found;
  for (const auto& t : tensors)
    if (t.name.starts_with(prefix)) found.push_back({t.name.substr(prefix.size()), t.tensor});
  return found;
}

void add_copies(std::vector<io::NamedTensor>& to, const std::vector<io::NamedTensor>& tensors,
                const std::string& prefix) {
  for (const auto& t : tensors) to.push_back({prefix + t.name, copy_of(t.tensor)});
}

}  // namespace nibble::train
