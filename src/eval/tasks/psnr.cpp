// Peak signal-to-noise ratio of networks whose first output is a picture: 10 log10(peak^2 / mean square error), image
// by image, then the mean of the images, as super-resolution is reported. Measured against reference images (bytes
// scaled so that 255 is the peak, grey or RGB after the output's channels) or arrays; without any, the float network's
// output is the reference. Outputs are clipped to [0, peak] first where the reference is an image, since a picture
// would be.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/preprocessing.h"
#include "eval/tasks/task.h"

namespace nibble::eval {
namespace {

using io::Json;
using tensor::Tensor;

/// A picture among the values of an output: its place and how its channels lie.
struct Picture {
  std::span<const float> values;
  int64_t height = 0, width = 0, channels = 1;
  bool channels_first = true;

  size_t at(int64_t c, int64_t y, int64_t x) const {
    return static_cast<size_t>(channels_first ? (c * height + y) * width + x : (y * width + x) * channels + c);
  }
};

/// Sample `s` of an output [N,C,H,W], [N,H,W,C] or [N,H,W]; 1 or 3 channels.
Picture picture_of(const Tensor& t, size_t s) {
  const tensor::Shape& d = t.shape();
  Picture p;
  const size_t each =
      static_cast<size_t>(t.elements()) / static_cast<size_t>(std::max<int64_t>(1, d.empty() ? 1 : d[0]));
  const auto few = [](int64_t n) { return n == 1 || n == 3; };
  if (t.dtype() == tensor::DType::f32 && d.size() == 4 && few(d[1]))
    p.channels = d[1], p.height = d[2], p.width = d[3];
  else if (t.dtype() == tensor::DType::f32 && d.size() == 4 && few(d[3]))
    p.channels = d[3], p.height = d[1], p.width = d[2], p.channels_first = false;
  else if (t.dtype() == tensor::DType::f32 && d.size() == 3)
    p.height = d[1], p.width = d[2];
  else
    base::fail_unsupported("--task psnr", "needs a first output of pictures of 1 or 3 channels, it is " +
                                              std::string(tensor::name_of(t.dtype())) + " " + tensor::to_string(d));
  p.values = t.values<float>().subspan(s * each, each);
  return p;
}

class Psnr final : public Task {
 public:
  explicit Psnr(const TaskSetting& setting)
      : two_(setting.two),
        referenced_(setting.dataset.has_references()),
        border_(static_cast<int64_t>(number_option(setting, "border", 0, 0))),
        peak_(number_option(setting, "peak", 1, 1e-30)),
        limits_(setting.limits) {
    if (!referenced_ && !two_)
      base::fail_usage("--task psnr", "has nothing to compare with", "give --references, or a --baseline");
  }

  void add(const Answers& answers) override {
    for (size_t s = 0; s < static_cast<size_t>(answers.data.size()); ++s) {
      const std::string& name = answers.data.names[s];
      const Picture after = picture_of(answers.after[0], s);
      if (!referenced_) {
        after_.push_back(psnr(picture_of(answers.before[0], s), after, false, name));
        continue;
      }
      Tensor owner;
      bool image = false;
      const Picture reference = reference_of(answers.data.references.at(s), after, owner, image, name);
      after_.push_back(psnr(reference, after, image, name));
      if (two_) before_.push_back(psnr(reference, picture_of(answers.before[0], s), image, name));
    }
  }

  TaskResult result(std::span<const OutputError> outputs) const override;

 private:
  Picture reference_of(const data::Reference& reference, const Picture& like, Tensor& owner, bool& image,
                       const std::string& name) const {
    Picture p = like;
    if (const auto* decoded = std::get_if<io::Image>(&reference)) {
      data::Preprocessing bytes;
      bytes.order = like.channels == 1 ? data::ChannelOrder::kGrey : data::ChannelOrder::kRgb;
      bytes.layout = like.channels_first ? data::Layout::kNchw : data::Layout::kNhwc;
      bytes.scale = peak_ / 255.0;
      owner = data::apply(bytes, *decoded, name, limits_);
      if (decoded->width != like.width || decoded->height != like.height)
        base::fail_unsupported(base::printable(name),
                               fmt::format("the network gives {}x{} pixels, the reference has {}x{}", like.width,
                                           like.height, decoded->width, decoded->height));
      image = true;
    } else if (const auto* array = std::get_if<Tensor>(&reference)) {
      owner = *array;
      if (owner.dtype() != tensor::DType::f32 || owner.elements() != static_cast<int64_t>(like.values.size()))
        base::fail_unsupported(base::printable(name), "its reference is " +
                                                          std::string(tensor::name_of(owner.dtype())) + " " +
                                                          tensor::to_string(owner.shape()) + ", the network gives " +
                                                          std::to_string(like.values.size()) + " floats a sample");
    } else {
      base::fail_usage("--task psnr", "takes images or arrays as references, these are texts");
    }
    p.values = owner.values<float>();
    return p;
  }

  double psnr(const Picture& x, const Picture& y, bool clip, const std::string& name) const {
    if (2 * border_ >= std::min(x.height, x.width))
      base::fail_usage("--task psnr", fmt::format("a border of {} leaves nothing of {}x{} pixels ({})", border_,
                                                  x.width, x.height, base::in_quotes(name)));
    double sum = 0;
    int64_t count = 0;
    for (int64_t c = 0; c < x.channels; ++c)
      for (int64_t row = border_; row < x.height - border_; ++row)
        for (int64_t column = border_; column < x.width - border_; ++column, ++count) {
          double a = y.values[y.at(c, row, column)];
          if (clip) a = std::clamp(a, 0.0, peak_);
          const double d = a - x.values[x.at(c, row, column)];
          sum += d * d;
        }
    return sum > 0 ? 10 * std::log10(peak_ * peak_ * static_cast<double>(count) / sum) : INFINITY;
  }

  bool two_, referenced_;
  int64_t border_;
  double peak_;
  base::Limits limits_;
  std::vector<double> before_, after_;  // decibels by sample; infinite: equal to the reference
};

TaskResult Psnr::result(std::span<const OutputError> outputs) const {
  TaskResult r;
  std::vector<double> before, after, change;
  int64_t exact = 0;
  for (size_t i = 0; i < after_.size(); ++i) {
    const bool paired = !before_.empty();
    if (std::isinf(after_[i]) || (paired && std::isinf(before_[i]))) {
      ++exact;
      continue;
    }
    after.push_back(after_[i]);
    if (!paired) continue;
    before.push_back(before_[i]);
    change.push_back(after_[i] - before_[i]);
  }
  const std::string except =
      exact ? fmt::format("; {} equal to the reference, infinite and left out", exact) : std::string();
  const auto db = [](double v) { return fmt::format("{:.3f} dB", v); };
  Json::Object json{{"images", static_cast<int64_t>(after_.size())},
                    {"exact", exact},
                    {"border", border_},
                    {"peak", peak_},
                    {"against", referenced_ ? "references" : "the float network's output"},
                    {"after_db", after.empty() ? Json() : Json(mean(after))}};
  TaskFigure figure;
  figure.label = referenced_ ? "PSNR" : "PSNR against the float network's output";
  constexpr double kFullWidth = 60;  // decibels: beyond it no eye sees a difference
  if (!after.empty()) {
    figure.after = std::clamp(mean(after) / kFullWidth, 0.0, 1.0);
    figure.after_text = figure.change = db(mean(after));
  } else {
    figure.after = 1;
    figure.after_text = figure.change = "exact";
  }
  if (!before.empty()) {
    const Interval i = bootstrap_mean_interval(change);
    const double difference = mean(change);
    const auto worse = std::count_if(change.begin(), change.end(), [](double d) { return d < 0; });
    r.rows.push_back({"PSNR", db(mean(before)), db(mean(after)),
                      fmt::format("{:+.3f}  [{:+.3f}, {:+.3f}]   {} of {} images worse{}", difference, i.low, i.high,
                                  worse, change.size(), except)});
    r.drop = Drop{-difference, "dB of PSNR lost", 0.3};
    r.sentence =
        difference < 0
            ? fmt::format("This cost the network {:.3f} dB of PSNR over {} images", -difference, after_.size())
            : fmt::format("This cost the network no PSNR ({:+.3f} dB over {} images)", difference, after_.size());
    json.emplace_back("before_db", mean(before));
    json.emplace_back("change", Json::Object{{"difference_db", difference},
                                             {"interval", Json::Array{i.low, i.high}},
                                             {"worse", static_cast<int64_t>(worse)}});
    figure.before = std::clamp(mean(before) / kFullWidth, 0.0, 1.0);
    figure.before_text = db(mean(before));
    figure.change = fmt::format("{:+.3f} dB", difference);
  } else if (!after.empty()) {
    const Interval i = bootstrap_mean_interval(after);
    r.rows.push_back({referenced_ ? "PSNR" : "PSNR against before", two_ ? "-" : "", db(mean(after)),
                      fmt::format("[{:.3f}, {:.3f}]   {} images{}", i.low, i.high, after.size(), except)});
    if (two_ && !referenced_)
      r.sentence = fmt::format("The pictures are at {:.2f} dB PSNR from the float network's over {} images",
                               mean(after), after_.size());
  } else {
    r.rows.push_back({referenced_ ? "PSNR" : "PSNR against before", two_ ? "-" : "", "exact",
                      fmt::format("{} images equal to their reference", exact)});
    // Nothing finite to subtract: equal to the reference on at least one side of every image.
  }
  r.json.emplace_back("psnr", std::move(json));
  r.figure = figure;
  if (two_)
    for (BillRow& row : output_error_rows(outputs, 0, static_cast<int64_t>(after_.size())))
      r.rows.push_back(std::move(row));
  return r;
}

}  // namespace

const TaskKind& psnr_task() {
  static const TaskKind kind = {
      "psnr", "peak signal-to-noise ratio of pictures, against references or the float network's", "border, peak",
      [](const TaskSetting& setting) -> std::unique_ptr<Task> { return std::make_unique<Psnr>(setting); },
      [](const Answers& first, const TaskSetting&) -> std::string {
        const bool picture = !first.data.references.empty() &&
                             !std::holds_alternative<std::string>(first.data.references[0]) &&
                             first.after[0].rank() >= 3;
        return picture ? "the data has reference images" : "";
      }};
  return kind;
}

}  // namespace nibble::eval
