// Arrays of ready network inputs: .npy and .npz.
#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/npy/npy.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;
using tensor::Tensor;
using Reading = std::variant<io::Image, Tensor>;

bool is_label_name(const std::string& name) { return name == "labels" || name == "label" || name == "y"; }

class ArraySource final : public Source {
 public:
  ArraySource(Tensor samples, std::string place, std::vector<int64_t> labels)
      : samples_(std::move(samples)), place_(std::move(place)), labels_(std::move(labels)) {
    if (samples_.rank() < 1) base::fail_malformed(place_, "is a single number; the first dimension is the samples");
    if (samples_.elements() == 0)
      base::fail_malformed(place_, "is empty: its shape is " + tensor::to_string(samples_.shape()));
    if (!labels_.empty() && static_cast<int64_t>(labels_.size()) != size())
      base::fail_malformed(
          place_, "has " + std::to_string(size()) + " samples and " + std::to_string(labels_.size()) + " labels");
  }

  int64_t size() const override { return samples_.shape()[0]; }
  bool holds_images() const override { return false; }
  tensor::Shape array_shape() const override { return {samples_.shape().begin() + 1, samples_.shape().end()}; }
  std::string what() const override {
    return std::to_string(size()) + " samples of " + place_ + " (" + std::string(tensor::name_of(samples_.dtype())) +
           " " + tensor::to_string(array_shape()) + ")";
  }
  std::string place(int64_t index) const override { return place_ + ": sample " + name(index); }
  std::vector<int64_t> own_labels() const override { return labels_; }
  Reading read(int64_t index, io::Orientation) const override {
    const size_t bytes = samples_.bytes().size() / static_cast<size_t>(size());
    return Tensor(samples_.dtype(), array_shape(), samples_.bytes().subspan(static_cast<size_t>(index) * bytes, bytes),
                  std::make_shared<const Tensor>(samples_));
  }

 private:
  Tensor samples_;
  std::string place_;
  std::vector<int64_t> labels_;
};

}  // namespace

std::unique_ptr<Source> open_npy(const fs::path& path, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path);
  return std::make_unique<ArraySource>(io::read_npy(file->bytes(), file, path.string(), limits), path.string(),
                                       std::vector<int64_t>());
}

std::unique_ptr<Source> open_npz(const fs::path& path, const std::string& input_name, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path);
  const auto arrays = io::read_npz(file->bytes(), path.string(), limits);
  const Tensor *samples = nullptr, *labels = nullptr, *only = nullptr;
  std::string names;
  int candidates = 0;
  for (const auto& [name, array] : arrays) {
    names += (names.empty() ? "" : ", ") + base::in_quotes(name);
    if (name == input_name) {
      samples = &array;
    } else if (is_label_name(name)) {
      if (labels) base::fail_malformed(path.string(), "has more than one array of labels; it holds " + names);
      labels = &array;
    } else {
      only = &array;
      ++candidates;
    }
  }
  if (!samples && candidates == 1) samples = only;
  if (!samples)
    base::fail_unsupported(
        path.string(),
        "has no array called " + base::in_quotes(input_name) + "; it holds " + (names.empty() ? "none" : names),
        "name the array after the network's input");
  std::vector<int64_t> integers;
  if (labels) {
    if (labels->rank() != 1)
      base::fail_malformed(path.string(), "its labels have shape " + tensor::to_string(labels->shape()) +
                                              ", one dimension was expected");
    integers = integers_of(*labels, path.string() + ": labels");
  }
  return std::make_unique<ArraySource>(*samples, path.string(), std::move(integers));
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
