#pragma once
#include <memory>
#include <string>

#include "data/expected_files.h"
#include "data/temporary_folder.h"
#include "model/open.h"
#include "model/save.h"
#include "train/batch_norm.h"
#include "train/module.h"
#include "train/train.h"
#include "train/training_network.h"

namespace nibble::test {

/// Stands for a user who stops the training: not a std::exception, as the program's own.
struct Stopped {};

/// Throws where the `after`th piece of work would begin.
class StopsAfter final : public base::Progress {
 public:
  explicit StopsAfter(int64_t after) : left_(after) {}
  void begin(std::string_view, int64_t, std::string_view) override {}
  void advance(int64_t) override {}
  void end() override {}
  void note(std::string_view) override {}
  void check_cancelled() override {
    if (left_-- == 0) throw Stopped{};
  }

 private:
  int64_t left_;
};

/// A quick training of a small network on easy images, with everything that a Job points to.
class Training {
 public:
  struct Setting {
    std::string scheme = "W4A4";
    int64_t samples = 150, validation = 60;  ///< 0 of these: none
    bool labels = true;
    int64_t batch = tensor::kUnknown;  ///< that the network fixes
  };

  explicit Training(const train::Options& o) : Training(o, Setting{}) {}
  Training(const train::Options& o, const Setting& setting)
      : Training(o, setting, training_network(true, setting.batch)) {}
  Training(const train::Options& o, const Setting& setting, graph::Graph g) : options(o) {
    const bool keep = o.batch_norm != train::BatchNorm::kFold;
    if (keep) train::make_scales_positive(g);
    network = quantize_network(std::move(g), setting.scheme, keep);
    data = open("data", setting.samples, 1, setting.labels);
    if (setting.validation > 0) validation = open("validation", setting.validation, 2, setting.labels);
    job.teacher = job.prepared = &network.prepared;
    job.plan = network.plan;
    job.quantized = network.quantized;
    job.data = data.get();
    job.validation = validation.get();
    job.calibration = [this]() -> quant::NextBatch {
      auto at = std::make_shared<int64_t>(0);
      return [this, at]() -> std::vector<tensor::Tensor> {
        if (*at >= 64) return {};
        base::ThreadPool pool(1);
        const int64_t fixed = data->fixed_batch(network.prepared), size = fixed == tensor::kUnknown ? 16 : fixed;
        auto batch = data->batch(*at, size, pool);
        *at += size;
        return batch.inputs;
      };
    };
  }

  train::Outcome run(int threads = 2, int64_t stop_after = -1) {
    StopsAfter progress(stop_after);
    base::NoProgress silent;
    train::Watch w = watch;
    w.progress = stop_after < 0 ? static_cast<base::Progress*>(&silent) : &progress;
    base::ThreadPool pool(threads);
    return train::train(job, options, train::load_module(), w, pool);
  }

  /// The file that a training leads to.
  std::filesystem::path save(const train::Outcome& outcome, const std::string& name = "trained.onnx") const {
    model::SaveOptions o;
    o.force = true;
    model::save(outcome.graph, folder.path() / name, o);
    return folder.path() / name;
  }
  std::string bytes(const train::Outcome& outcome) const {
    const auto file = base::MappedFile::open(save(outcome));
    return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
  }

  TemporaryFolder folder;
  train::Options options;
  QuantizedNetwork network;
  std::unique_ptr<data::Dataset> data, validation;
  train::Job job;
  train::Watch watch;

 private:
  std::unique_ptr<data::Dataset> open(const std::string& name, int64_t count, uint64_t seed, bool labels) const {
    const Stripes s = stripes(std::max<int64_t>(1, count), seed);
    data::DatasetOptions o;
    o.inputs = data::inputs_of(network.prepared);
    if (count == 0) o.limit = 0;
    if (labels) {
      o.labels.from = data::LabelOptions::From::kFile;
      o.labels.file =
          folder.write(name + "_labels.npy",
                       io::npy_file(tensor::Tensor::of<int64_t>({static_cast<int64_t>(s.labels.size())}, s.labels)));
      o.classes = 3;
    } else {
      o.labels.from = data::LabelOptions::From::kNone;
    }
    return data::open_dataset(folder.write(name + ".npy", io::npy_file(s.images)), o, {});
  }
};

/// A few short epochs of uneven batches and slices.
inline train::Options quick() {
  train::Options o;
  o.epochs = 3;
  o.batch = 40;
  o.slice = 16;
  o.learning_rate = 0.02;
  return o;
}

}  // namespace nibble::test
