// Arrays of ready network inputs: .npy and .npz.
#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/npy/npy.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;
using tensor::Tensor;
using Arrays = std::vector<std::pair<std::string, Tensor>>;

bool is_label_name(const std::string& name) { return name == "labels" || name == "label" || name == "y"; }

std::string names_of(const Arrays& arrays) {
  std::string names;
  for (const auto& [name, array] : arrays) names += (names.empty() ? "" : ", ") + base::in_quotes(name);
  return names.empty() ? "none" : names;
}

/// The array of each input: the one of its name; for a single input also the only one besides labels.
std::vector<Tensor> arrays_of_inputs(const Arrays& arrays, std::span<const Input> inputs, const std::string& place) {
  std::vector<Tensor> found;
  const Tensor* only = nullptr;
  int candidates = 0;
  for (const auto& [name, array] : arrays)
    if (!is_label_name(name)) {
      only = &array;
      ++candidates;
    }
  for (const Input& input : inputs) {
    const auto named = std::find_if(arrays.begin(), arrays.end(), [&](const auto& a) { return a.first == input.name; });
    if (named != arrays.end())
      found.push_back(named->second);
    else if (inputs.size() == 1 && candidates == 1)
      found.push_back(*only);
    else
      base::fail_unsupported(
          place, "has no array called " + base::in_quotes(input.name) + "; it holds " + names_of(arrays),
          inputs.size() == 1
              ? "name the array after the network's input"
              : "the network has " + std::to_string(inputs.size()) + " inputs; give each an array of its name");
  }
  return found;
}

/// One or several arrays with the samples along their first dimension.
class ArraySource final : public Source {
 public:
  ArraySource(std::vector<Tensor> arrays, std::string place, std::vector<int64_t> labels)
      : arrays_(std::move(arrays)), place_(std::move(place)), labels_(std::move(labels)) {
    for (const Tensor& array : arrays_) {
      if (array.rank() < 1) base::fail_malformed(place_, "is a single number; the first dimension is the samples");
      if (array.elements() == 0)
        base::fail_malformed(place_, "is empty: its shape is " + tensor::to_string(array.shape()));
      if (array.shape()[0] != size())
        base::fail_malformed(place_, "its arrays hold " + std::to_string(size()) + " and " +
                                         std::to_string(array.shape()[0]) + " samples");
    }
    if (!labels_.empty() && static_cast<int64_t>(labels_.size()) != size())
      base::fail_malformed(
          place_, "has " + std::to_string(size()) + " samples and " + std::to_string(labels_.size()) + " labels");
  }

  int64_t size() const override { return arrays_[0].shape()[0]; }
  bool holds_images() const override { return false; }
  tensor::Shape array_shape() const override { return shape_of(arrays_[0]); }
  std::string what() const override {
    std::string each;
    for (const Tensor& array : arrays_)
      each += (each.empty() ? "" : ", ") + std::string(tensor::name_of(array.dtype())) + " " +
              tensor::to_string(shape_of(array));
    return std::to_string(size()) + " samples of " + place_ + " (" + each + ")";
  }
  std::string place(int64_t index) const override { return place_ + ": sample " + name(index); }
  std::vector<int64_t> own_labels() const override { return labels_; }
  Reading read(int64_t index, io::Orientation) const override {
    std::vector<Tensor> sample;
    for (const Tensor& array : arrays_) {
      const size_t bytes = array.bytes().size() / static_cast<size_t>(size());
      sample.emplace_back(array.dtype(), shape_of(array),
                          array.bytes().subspan(static_cast<size_t>(index) * bytes, bytes),
                          std::make_shared<const Tensor>(array));
    }
    return sample;
  }

 private:
  static tensor::Shape shape_of(const Tensor& array) { return {array.shape().begin() + 1, array.shape().end()}; }

  std::vector<Tensor> arrays_;
  std::string place_;
  std::vector<int64_t> labels_;
};

class RunSource final : public Source {
 public:
  RunSource(std::shared_ptr<const Members> members, std::span<const Input> inputs, const base::Limits& limits)
      : members_(std::move(members)), inputs_(inputs.begin(), inputs.end()), limits_(limits) {
    for (size_t i = 0; i < members_->names().size(); ++i)
      if (members_->names()[i].ends_with(".npz")) runs_.push_back(i);
  }

  int64_t size() const override { return static_cast<int64_t>(runs_.size()); }
  std::string name(int64_t index) const override { return members_->names()[at(index)]; }
  bool holds_images() const override { return false; }
  bool holds_runs() const override { return true; }
  std::string what() const override {
    return std::to_string(size()) + (size() == 1 ? " run of " : " runs of ") + members_->whole();
  }
  std::string place(int64_t index) const override { return members_->place(at(index)); }
  std::vector<std::string> notes() const override {
    const size_t ignored = members_->names().size() - runs_.size();
    std::vector<std::string> notes = members_->notes();
    if (ignored)
      notes.push_back(members_->whole() + ": " + std::to_string(ignored) + (ignored == 1 ? " file is" : " files are") +
                      " no .npz and left out");
    return notes;
  }
  Reading read(int64_t index, io::Orientation) const override {
    const Content content = members_->read(at(index));
    return arrays_of_inputs(io::read_npz(content.bytes, place(index), limits_), inputs_, place(index));
  }

 private:
  size_t at(int64_t index) const { return runs_.at(static_cast<size_t>(index)); }
  std::shared_ptr<const Members> members_;
  std::vector<Input> inputs_;
  base::Limits limits_;
  std::vector<size_t> runs_;  // among the members
};

}  // namespace

std::unique_ptr<Source> open_runs(std::shared_ptr<const Members> members, std::span<const Input> inputs,
                                  const base::Limits& limits) {
  return std::make_unique<RunSource>(std::move(members), inputs, limits);
}

std::unique_ptr<Source> open_npy(const fs::path& path, std::span<const Input> inputs, const base::Limits& limits) {
  if (inputs.size() > 1)
    base::fail_unsupported(path.string(), "is one array, the network has " + std::to_string(inputs.size()) + " inputs",
                           "give an .npz with an array of each input's name");
  const auto file = base::MappedFile::open(path);
  std::vector<Tensor> arrays{io::read_npy(file->bytes(), file, path.string(), limits)};
  return std::make_unique<ArraySource>(std::move(arrays), path.string(), std::vector<int64_t>());
}

std::unique_ptr<Source> open_npz(const fs::path& path, std::span<const Input> inputs, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path);
  const Arrays arrays = io::read_npz(file->bytes(), path.string(), limits);
  const Tensor* labels = nullptr;
  for (const auto& [name, array] : arrays) {
    const bool feeds =
        std::any_of(inputs.begin(), inputs.end(), [&, &wanted = name](const Input& i) { return i.name == wanted; });
    if (feeds || !is_label_name(name)) continue;
    if (labels) base::fail_malformed(path.string(), "has more than one array of labels; it holds " + names_of(arrays));
    labels = &array;
  }
  std::vector<int64_t> integers;
  if (labels) {
    if (labels->rank() != 1)
      base::fail_malformed(path.string(), "its labels have shape " + tensor::to_string(labels->shape()) +
                                              ", one dimension was expected");
    integers = integers_of(*labels, path.string() + ": labels");
  }
  return std::make_unique<ArraySource>(arrays_of_inputs(arrays, inputs, path.string()), path.string(),
                                       std::move(integers));
}

std::vector<int64_t> integers_of(const Tensor& t, const std::string& place) {
  using tensor::DType;
  std::vector<int64_t> out(static_cast<size_t>(t.elements()));
  const auto copy = [&]<typename T>(T) {
    const auto values = t.values<T>();
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (sizeof(T) == 8 && std::is_unsigned_v<T>)
        if (values[i] > static_cast<uint64_t>(INT64_MAX))
          base::fail_malformed(place, "value " + std::to_string(values[i]) + " is too large");
      out[i] = static_cast<int64_t>(values[i]);
    }
  };
  switch (t.dtype()) {
    case DType::i8:
      copy(int8_t{});
      break;
    case DType::u8:
      copy(uint8_t{});
      break;
    case DType::i16:
      copy(int16_t{});
      break;
    case DType::u16:
      copy(uint16_t{});
      break;
    case DType::i32:
      copy(int32_t{});
      break;
    case DType::u32:
      copy(uint32_t{});
      break;
    case DType::i64:
      copy(int64_t{});
      break;
    case DType::u64:
      copy(uint64_t{});
      break;
    default:
      base::fail_malformed(place,
                           "holds " + std::string(tensor::name_of(t.dtype())) +
                               " elements; whole numbers were "
                               "expected",
                           "convert it: numpy.save('labels.npy', a.astype('int64'))");
  }
  return out;
}

}  // namespace nibble::data
