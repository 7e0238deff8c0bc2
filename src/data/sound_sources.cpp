// Sound files: whole, in frames, or all frames of a file as one run.
#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/checked.h"
#include "base/error.h"
#include "data/source.h"
#include "io/wav/wav.h"

namespace nibble::data {
namespace {

using tensor::Tensor;

bool is_sound_name(const std::string& name) { return name.ends_with(".wav") || name.ends_with(".WAV"); }

class SoundSource final : public Source {
 public:
  SoundSource(std::shared_ptr<const Members> members, std::span<const Input> inputs, const Audio& audio,
              const base::Limits& limits)
      : members_(std::move(members)), inputs_(inputs.begin(), inputs.end()), audio_(audio), limits_(limits) {
    if (inputs.size() > 1 && !audio_.run)
      base::fail_unsupported(members_->whole(),
                             "is sound, the network has " + std::to_string(inputs.size()) + " inputs",
                             "--audio frame=N,run=on gives zeros to the others, or give an .npz");
    const int64_t asked = audio_.frame;
    if (audio_.frame == 0) audio_.frame = length_of_input();
    if (audio_.hop == 0) audio_.hop = audio_.frame;
    for (size_t i = 0; i < members_->names().size(); ++i)
      if (is_sound_name(members_->names()[i]) || members_->named_itself()) add(i);
    if (files_.empty()) base::fail_malformed(members_->whole(), "holds no .wav");
    if (size() == 0)
      base::fail_malformed(members_->whole(),
                           "is shorter than one frame of " + std::to_string(audio_.frame) + " samples");
    if (asked == 0 && audio_.frame > 0)
      notes_.push_back("sound is cut into frames of " + std::to_string(audio_.frame) +
                       " samples, the length of the network's input (--audio frame=N says otherwise)");
    if (audio.rate == 0)
      notes_.push_back("no sample rate is given; the files have " + std::to_string(audio_.rate) +
                       " samples a second (--audio rate=N makes sure)");
    if (mixed_) notes_.push_back(std::to_string(mixed_) + " sound files of several channels are averaged to one");
    if (left_over_)
      notes_.push_back(std::to_string(left_over_) + " samples at the ends of files fill no frame and are left out");
    const size_t ignored = members_->names().size() - files_.size();
    if (ignored)
      notes_.push_back(members_->whole() + ": " + std::to_string(ignored) + " files are no .wav and left out");
    if (audio_.run && inputs_.size() > 1)
      notes_.push_back("the network's other inputs are zeros: " + base::printable(inputs_[1].name) +
                       (inputs_.size() > 2 ? " and " + std::to_string(inputs_.size() - 2) + " more" : ""));
  }

  int64_t size() const override {
    return audio_.run || audio_.frame == 0 ? static_cast<int64_t>(files_.size())
                                           : (files_.empty() ? 0 : files_.back().end);
  }
  std::string name(int64_t index) const override {
    const size_t file = file_at(index);
    const std::string& of_file = members_->names()[files_[file].member];
    return whole() ? of_file : of_file + "#" + std::to_string(index - begin_of(file));
  }
  bool holds_images() const override { return false; }
  bool holds_runs() const override { return audio_.run; }
  bool sizes_vary() const override { return audio_.frame == 0 && files_.size() > 1; }
  tensor::Shape array_shape() const override {
    if (audio_.frame) return {audio_.context + audio_.frame};
    const bool alike =
        std::all_of(files_.begin(), files_.end(), [&](const File& f) { return f.length == files_[0].length; });
    return {alike ? files_[0].length : tensor::kUnknown};
  }
  std::string what() const override {
    const std::string files =
        std::to_string(files_.size()) + (files_.size() == 1 ? " sound file of " : " sound files of ");
    return whole() ? files + members_->whole()
                   : std::to_string(size()) + " frames of " + std::to_string(audio_.frame) + " samples of " + files +
                         members_->whole();
  }
  std::string place(int64_t index) const override {
    const size_t file = file_at(index);
    return members_->place(files_[file].member) + (whole() ? "" : ": frame " + std::to_string(index - begin_of(file)));
  }
  std::vector<std::string> notes() const override {
    std::vector<std::string> notes = members_->notes();
    notes.insert(notes.end(), notes_.begin(), notes_.end());
    return notes;
  }

  Reading read(int64_t index, io::Orientation) const override {
    const size_t file = file_at(index);
    const std::shared_ptr<const Tensor> sound = samples_of(file);
    if (audio_.frame == 0) return std::vector<Tensor>{*sound};
    if (!audio_.run) {
      Tensor frame(tensor::DType::f32, {audio_.context + audio_.frame}, true);
      cut(*sound, (index - begin_of(file)) * audio_.hop, frame.mutable_values<float>());
      return std::vector<Tensor>{frame};
    }
    const int64_t count = frames_in(files_[file].length), width = audio_.context + audio_.frame;
    const auto elements = base::checked_mul(count, width);
    if (!elements) base::fail_limit(place(index), "has too many frames");
    base::check_limit(*elements, limits_.tensor_elements, "tensor-elements", place(index), "its number of samples");
    Tensor frames(tensor::DType::f32, {count, width}, true);
    for (int64_t i = 0; i < count; ++i)
      cut(*sound, i * audio_.hop,
          frames.mutable_values<float>().subspan(static_cast<size_t>(i * width), static_cast<size_t>(width)));
    std::vector<Tensor> run{frames};
    for (size_t i = 1; i < inputs_.size(); ++i) run.push_back(zeros(inputs_[i]));
    return run;
  }

 private:
  struct File {
    size_t member = 0;
    int64_t length = 0;  ///< samples
    int64_t end = 0;     ///< one past its last frame, counted over all files
  };

  bool whole() const { return audio_.run || audio_.frame == 0; }

  int64_t length_of_input() const {
    const auto& shape = inputs_[0].shape;
    return shape && !shape->empty() && shape->back() > 0 ? shape->back() : 0;
  }

  int64_t frames_in(int64_t length) const {
    return length < audio_.frame ? 0 : (length - audio_.frame) / audio_.hop + 1;
  }

  void add(size_t member) {
    const Content content = members_->read(member);
    const io::SoundSize size = io::sound_size(content.bytes, members_->place(member), limits_);
    if (audio_.rate == 0) audio_.rate = size.rate;
    if (size.rate != audio_.rate)
      base::fail_unsupported(
          members_->place(member),
          "has " + std::to_string(size.rate) + " samples a second, " + std::to_string(audio_.rate) + " are wanted",
          "resample it: ffmpeg -i IN.wav -ar " + std::to_string(audio_.rate) + " OUT.wav");
    mixed_ += size.channels > 1;
    File file{member, size.frames, files_.empty() ? 0 : files_.back().end};
    if (size.frames == 0) base::fail_malformed(members_->place(member), "holds no samples");
    if (audio_.frame > 0) {
      const int64_t count = frames_in(size.frames);
      const int64_t used = count ? (count - 1) * audio_.hop + audio_.frame : 0;
      left_over_ += std::max<int64_t>(0, size.frames - used);
      file.end += count;
    }
    files_.push_back(file);
  }

  int64_t begin_of(size_t file) const { return file ? files_[file - 1].end : 0; }
  size_t file_at(int64_t index) const {
    if (whole()) return static_cast<size_t>(index);
    const auto at =
        std::upper_bound(files_.begin(), files_.end(), index, [](int64_t i, const File& f) { return i < f.end; });
    return static_cast<size_t>(at - files_.begin());
  }

  /// The samples of one file; the last one is kept, since frames are mostly read in order.
  std::shared_ptr<const Tensor> samples_of(size_t file) const {
    const std::lock_guard lock(mutex_);
    if (!last_ || last_file_ != file) {
      const size_t member = files_[file].member;
      last_ = std::make_shared<const Tensor>(
          io::read_wav(members_->read(member).bytes, members_->place(member), limits_).samples);
      last_file_ = file;
    }
    return last_;
  }

  void cut(const Tensor& sound, int64_t begin, std::span<float> to) const {
    const auto samples = sound.values<float>();
    for (size_t i = 0; i < to.size(); ++i) {
      const int64_t from = begin - audio_.context + static_cast<int64_t>(i);
      to[i] = from < 0 ? 0.0f : samples[static_cast<size_t>(from)];
    }
  }

  /// An input of zeros, batch dimension included: a state's is second or third in most networks, unknown sizes are 1.
  Tensor zeros(const Input& input) const {
    if (!input.shape)
      base::fail_unsupported(members_->whole(), "the shape of input " + base::in_quotes(input.name) + " is not known",
                             "give the run as an .npz");
    tensor::Shape shape{input.batch == tensor::kUnknown ? 1 : input.batch};
    for (const int64_t d : *input.shape) shape.push_back(d == tensor::kUnknown ? 1 : d);
    const int64_t elements = base::checked_product(shape, members_->whole());
    base::check_limit(elements, limits_.tensor_elements, "tensor-elements", members_->whole(), "the size of an input");
    return Tensor(tensor::DType::f32, shape);
  }

  std::shared_ptr<const Members> members_;
  std::vector<Input> inputs_;
  Audio audio_;
  base::Limits limits_;
  std::vector<File> files_;
  std::vector<std::string> notes_;
  int64_t mixed_ = 0, left_over_ = 0;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Tensor> last_;
  mutable size_t last_file_ = 0;
};

}  // namespace

bool holds_sound(const Members& members) {
  return std::any_of(members.names().begin(), members.names().end(), is_sound_name);
}

std::unique_ptr<Source> open_sounds(std::shared_ptr<const Members> members, std::span<const Input> inputs,
                                    const Audio& audio, const base::Limits& limits) {
  return std::make_unique<SoundSource>(std::move(members), inputs, audio, limits);
}

}  // namespace nibble::data
