// A weight in training as a list of tensors, for checkpoints.
#include <cmath>

#include "base/error.h"
#include "train/trained_weight.h"

namespace nibble::train {

using tensor::DType;
using tensor::Tensor;

void TrainedWeight::save(const std::string& prefix, std::vector<io::NamedTensor>& to) const {
  const auto add = [&](const char* what, Tensor t) { to.push_back({prefix + what, std::move(t)}); };
  const auto list = [&]<typename T>(const char* what, const std::vector<T>& values) {
    if (!values.empty()) add(what, Tensor::of<T>({static_cast<int64_t>(values.size())}, values));
  };
  add("masters", masters);
  add("log_scale", log_scale);
  if (zero) add("zero", zero);
  list("first_scale", first_scale_);
  list("first_zero", std::vector<int32_t>(first_zero_.begin(), first_zero_.end()));
  list("first_offset", first_offset_);
  list("turning", turning_);
  list("mean_code", mean_code_);
  list("last_code", last_code_);
  list("last_direction", last_direction_);
  list("frozen_code", frozen_code_);
}

void TrainedWeight::load(const std::string& prefix, const std::map<std::string, Tensor>& from) {
  const auto find = [&](const char* what, DType type, int64_t count, bool may_lack) -> const Tensor* {
    const auto it = from.find(prefix + what);
    if (it == from.end() && may_lack) return nullptr;
    if (it == from.end() || it->second.dtype() != type || it->second.elements() != count)
      base::fail_malformed("tensor " + base::in_quotes(prefix + what), "is missing or does not fit this network");
    if (type == DType::f32)
      for (const float v : it->second.values<float>())
        if (!std::isfinite(v))
          base::fail_malformed("tensor " + base::in_quotes(prefix + what), "holds a number that is not finite");
    return &it->second;
  };
  const auto copy = [&](const char* what, Tensor& to) {
    const auto values = find(what, DType::f32, to.elements(), false)->values<float>();
    std::copy(values.begin(), values.end(), to.mutable_values<float>().begin());
  };
  const auto list = [&]<typename T>(const char* what, std::vector<T>& to, int64_t count, bool may_lack) {
    const Tensor* t = find(what, tensor::dtype_of<T>(), count, may_lack);
    to.clear();
    if (t) to.assign(t->values<T>().begin(), t->values<T>().end());
  };
  copy("masters", masters);
  copy("log_scale", log_scale);
  if (zero) copy("zero", zero);
  const int64_t groups = log_scale.elements(), count = masters.elements();
  std::vector<int32_t> zeros;
  list("first_scale", first_scale_, groups, false);
  list("first_zero", zeros, groups, false);
  for (int64_t g = 0; g < groups; ++g)
    if (!(first_scale_[static_cast<size_t>(g)] > 0) || zeros[static_cast<size_t>(g)] < grid_.lowest_code() ||
        zeros[static_cast<size_t>(g)] > grid_.highest_code())
      base::fail_malformed("tensor " + base::in_quotes(prefix + "first_scale"),
                           "holds a scale or zero point that quantization does not make");
  first_zero_.assign(zeros.begin(), zeros.end());
  list("first_offset", first_offset_, groups, false);
  list("turning", turning_, count, true);
  list("mean_code", mean_code_, count, true);
  list("last_code", last_code_, count, true);
  list("last_direction", last_direction_, count, true);
  list("frozen_code", frozen_code_, count, true);
}

}  // namespace nibble::train
