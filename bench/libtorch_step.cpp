// A training step of float networks the plain libtorch way: the whole batch at once, libtorch's own threads, cross
// entropy, Adam. The peer of bench/training_speed.py.
//
//   libtorch_step NETWORK LAYOUT BATCH THREADS STEPS     prints the milliseconds of each step
//
// NETWORK  resnet20 (batch norm folded into the convolutions), resnet20-bn (batch norm in training), ds-cnn (MLPerf
// Tiny's
//          keyword spotting: depthwise convolutions)
// LAYOUT   contiguous or channels_last
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/adamw.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

/// Layers that take their parameters one after the other, the same on every forward pass.
class Network {
 public:
  explicit Network(at::MemoryFormat layout) : layout_(layout) {}
  void start() { next_ = 0; }
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

  at::Tensor convolution(const at::Tensor& x, int64_t outputs, std::vector<int64_t> kernel, int64_t stride,
                         std::vector<int64_t> padding, bool depthwise = false, bool norm = false) {
    const int64_t groups = depthwise ? x.size(1) : 1, inputs = x.size(1) / groups;
    // Without batch norm the sums of residual blocks would grow until gradients are denormal, and slow.
    const double spread = (norm ? 1.0 : 0.5) * std::sqrt(2.0 / static_cast<double>(inputs * kernel[0] * kernel[1]));
    const at::Tensor w = take({outputs, inputs, kernel[0], kernel[1]}, spread);
    const at::Tensor bias = norm ? at::Tensor() : take({outputs}, 0);
    at::Tensor y = at::conv2d(x, w, bias, stride, padding, 1, groups);
    if (!norm) return y;
    const at::Tensor gamma = take({outputs}, 1), beta = take({outputs}, 0);
    return at::batch_norm(y, gamma, beta, at::zeros({outputs}), at::ones({outputs}), true, 0.1, 1e-5, false);
  }
  at::Tensor linear(const at::Tensor& x, int64_t outputs) {
    const at::Tensor w = take({outputs, x.size(1)}, 0.1);
    return at::linear(x, w, take({outputs}, 0));
  }

 private:
  at::Tensor take(std::vector<int64_t> shape, double spread) {
    if (next_ == parameters_.size()) {
      at::Tensor p = at::randn(shape) * spread;
      if (p.dim() == 4) p = p.contiguous(layout_);
      parameters_.push_back(p.set_requires_grad(true));
    }
    return parameters_[next_++];
  }
  at::MemoryFormat layout_;
  std::vector<at::Tensor> parameters_;
  size_t next_ = 0;
};

/// He et al. 2016 with three blocks a stage; shortcuts take every other pixel and fill up with channels of zeros.
at::Tensor resnet20(Network& n, at::Tensor x, bool norm) {
  x = at::relu(n.convolution(x, 16, {3, 3}, 1, {1, 1}, false, norm));
  for (int64_t stage = 0; stage < 3; ++stage)
    for (int64_t block = 0; block < 3; ++block) {
      const int64_t channels = 16 << stage, stride = stage > 0 && block == 0 ? 2 : 1;
      at::Tensor y = at::relu(n.convolution(x, channels, {3, 3}, stride, {1, 1}, false, norm));
      y = n.convolution(y, channels, {3, 3}, 1, {1, 1}, false, norm);
      if (stride == 2)
        x = at::constant_pad_nd(x.slice(2, 0, c10::nullopt, 2).slice(3, 0, c10::nullopt, 2),
                                {0, 0, 0, 0, channels / 4, channels / 4});
      x = at::relu(y + x);
    }
  return n.linear(x.mean({2, 3}), 10);
}

/// One convolution of 10x4 and four pairs of a depthwise 3x3 and a 1x1 one, 64 channels, batch norm folded.
at::Tensor ds_cnn(Network& n, at::Tensor x) {
  x = at::relu(n.convolution(x, 64, {10, 4}, 2, {5, 1}));
  for (int i = 0; i < 4; ++i) {
    x = at::relu(n.convolution(x, 64, {3, 3}, 1, {1, 1}, true));
    x = at::relu(n.convolution(x, 64, {1, 1}, 1, {0, 0}));
  }
  return n.linear(x.mean({2, 3}), 12);
}

at::Tensor forward(Network& n, const std::string& name, const at::Tensor& x) {
  n.start();
  if (name == "ds-cnn") return ds_cnn(n, x);
  return resnet20(n, x, name == "resnet20-bn");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return std::fprintf(stderr, "libtorch_step NETWORK LAYOUT BATCH THREADS STEPS\n"), 2;
  const std::string name = argv[1];
  const auto layout =
      std::strcmp(argv[2], "channels_last") == 0 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const int64_t batch = std::atoll(argv[3]), steps = std::atoll(argv[5]);
  at::set_num_threads(std::atoi(argv[4]));
  at::manual_seed(1);
  const bool speech = name == "ds-cnn";
  const at::Tensor x = (speech ? at::randn({batch, 1, 49, 10}) : at::randn({batch, 3, 32, 32})).contiguous(layout);
  const at::Tensor labels = at::randint(speech ? 12 : 10, {batch}, at::kLong);
  Network network(layout);
  forward(network, name, x);  // makes the parameters
  torch::optim::AdamW adam(network.parameters(), torch::optim::AdamWOptions(1e-3).weight_decay(0));
  for (int64_t step = -3; step < steps; ++step) {  // three to warm up
    const auto begin = std::chrono::steady_clock::now();
    adam.zero_grad();
    const at::Tensor loss = at::cross_entropy_loss(forward(network, name, x), labels);
    torch::autograd::backward({loss}, {});
    adam.step();
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
    if (step >= 0) std::printf("%.3f\n", spent.count());
  }
}
